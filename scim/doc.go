// Package scim is the inbound SCIM 2.0 server: the protocol of RFC 7643 and
// RFC 7644 and the dialects that identity providers really speak.
//
// It owns everything between the wire and a Directory: authentication,
// limits, discovery, filters, the rewriting of provider habits, PATCH, PUT,
// projection, entity tags and errors. It must not know what happens after a
// write: no cases, no workflow, no database, nothing of Amplitude. The rest
// of the product reaches it by implementing Directory and Authenticator.
//
// A request passes these layers, outermost first:
//
//	observe → authenticate → guard → discovery → liftQuery → normalize → library
//
// The library (github.com/elimity-com/scim) routes and validates what the
// layers hand it; it never sees a filter, a raw PATCH path or an unbounded
// body, because its parsers cannot bear them. What it is not able to say
// (429, 304, item counts, projections) is said by answer.go.
package scim
