package amplitude

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// schemaError marks a SCIM error (RFC 7644 section 3.12).
const schemaError = "urn:ietf:params:scim:api:messages:2.0:Error"

// fault is an error body of any of the APIs: a SCIM error, a problem document
// (RFC 9457), taxonomy's success and errors, cohorts' error object.
type fault struct {
	Schemas           texts           `json:"schemas"`
	ScimType          text            `json:"scimType"`
	Status            text            `json:"status"` // a string in SCIM, a number in problems
	Type              text            `json:"type"`
	Title             text            `json:"title"`
	Detail            text            `json:"detail"`
	Message           text            `json:"message"`
	Code              text            `json:"code"`
	ErrorCode         text            `json:"error_code"`
	ErrorWord         text            `json:"errorCode"` // of lookup tables
	Success           json.RawMessage `json:"success"`
	Error             json.RawMessage `json:"error"`
	Errors            json.RawMessage `json:"errors"`
	RetryAfterSeconds number          `json:"retry_after_seconds"`
}

// readFault reads a body as a fault. It says false for what is not a JSON
// object: empty, HTML, text, cut off.
func readFault(body []byte) (fault, bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return fault{}, false
	}
	var f fault
	if json.Unmarshal(body, &f) != nil {
		return fault{}, false
	}
	return f, true
}

// isError says whether a body that came with a 2xx is an error all the same.
func (f fault) isError() bool {
	for _, s := range f.Schemas {
		if strings.EqualFold(s, schemaError) {
			return true
		}
	}
	if string(f.Success) == "false" {
		return true
	}
	if e := string(f.Error); e != "" && e != "null" && e != "false" && e != `""` {
		return true
	}
	return f.Title != "" && f.Type != "" && len(f.Status) == 3 && f.Status >= "400"
}

type faultMessage struct {
	Message text `json:"message"`
	Type    text `json:"type"`
	Code    text `json:"code"`
}

// messages collects what Error and Errors say, in whichever form.
func (f fault) messages() []faultMessage {
	var out []faultMessage
	for _, raw := range []json.RawMessage{f.Error, f.Errors} {
		var one faultMessage
		var word text
		var many []json.RawMessage
		switch {
		case len(raw) == 0:
		case raw[0] == '{' && json.Unmarshal(raw, &one) == nil:
			out = append(out, one)
		case raw[0] == '"' && json.Unmarshal(raw, &word) == nil:
			out = append(out, faultMessage{Message: word})
		case raw[0] == '[' && json.Unmarshal(raw, &many) == nil:
			for _, r := range many {
				one, word = faultMessage{}, ""
				if json.Unmarshal(r, &one) == nil {
					out = append(out, one)
				} else if json.Unmarshal(r, &word) == nil {
					out = append(out, faultMessage{Message: word})
				}
			}
		}
	}
	return out
}

// detail returns the most telling sentence, not yet cleaned.
func (f fault) detail() string {
	for _, s := range []text{f.Detail, f.Message} {
		if s != "" {
			return string(s)
		}
	}
	for _, m := range f.messages() {
		if m.Message != "" {
			return string(m.Message)
		}
	}
	return string(f.Title)
}

// code returns the API's word for the error if it looks like one, else nothing.
func (c *Client) code(f fault, hide []string) string {
	words := []text{f.ScimType, f.Code, f.ErrorCode, f.ErrorWord}
	for _, m := range f.messages() {
		words = append(words, m.Code, m.Type)
	}
	for i, w := range append(words, guesses(f)...) {
		word := string(w)
		// A problem's type is a URI whose last part is the word.
		if cut := strings.LastIndexAny(word, "/#:"); cut >= 0 {
			word = word[cut+1:]
		}
		word = strings.ReplaceAll(word, "-", "_")
		if isWord(word) && c.clean(word, hide) == word && (i < len(words) || strings.Contains(word, "_")) {
			return word
		}
	}
	return ""
}

// guesses are the places where some answers put a word and others a sentence.
func guesses(f fault) []text {
	out := []text{f.Type, f.Title, f.Message}
	for _, m := range f.messages() {
		out = append(out, m.Message)
	}
	return out
}

// saysNotFound knows taxonomy's way to say that an event does not exist.
func (f fault) saysNotFound() bool {
	return strings.EqualFold(strings.Trim(f.detail(), ". "), "not found")
}

func isWord(s string) bool {
	if len(s) < 3 || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' {
			return false
		}
	}
	return true
}

var (
	reURL     = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S+`)
	reAddress = regexp.MustCompile(`(?i)[^\s"'<>()\[\],;:=]+(?:@|%40)[^\s"'<>()\[\],;]+`)
	reToken   = regexp.MustCompile(`[A-Za-z0-9_+/=.%-]{25,}`)
)

const maxDetail = 160

// clean makes a sentence of a server fit for errors and logs: addresses, URLs,
// secrets, anything long enough to be a token, and the words in hide go; one
// line, at most 160 characters.
func (c *Client) clean(s string, hide []string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	for _, words := range [][]string{c.secrets, hide} {
		for _, w := range words {
			s = replaceFold(s, w, redacted)
		}
	}
	s = reURL.ReplaceAllString(s, "[url]")
	s = reAddress.ReplaceAllString(s, "[address]")
	s = reToken.ReplaceAllString(s, "[…]")
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxDetail {
		s = string(runes[:maxDetail]) + "…"
	}
	return s
}

// replaceFold replaces every occurrence of word in s, whatever its case.
func replaceFold(s, word, by string) string {
	if word == "" || !utf8.ValidString(word) { // s is valid, so it cannot hold an invalid word
		return s
	}
	return regexp.MustCompile(`(?i)`+regexp.QuoteMeta(word)).ReplaceAllLiteralString(s, by)
}
