package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	scimlib "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/optional"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Prefix is the path below which the server answers.
const Prefix = "/scim/v2"

// Limits bound what one request may cost. A zero field takes its default.
type Limits struct {
	UserBody         int64         // bytes; default 1 MiB
	GroupBody        int64         // bytes; default 4 MiB
	Filter           int           // bytes; default 2048
	FilterDepth      int           // levels; default 16
	PathLength       int           // bytes of a PATCH path or key; default 512
	Operations       int           // PATCH operations on a user, keys of path-less ones counted; default 500
	MemberOperations int           // PATCH operations on a group, likewise; default 10000
	Page             int           // most resources on a page; default 200
	InFlight         int           // requests worked on at a time, more wait; default 256
	Timeout          time.Duration // of one request, then 429; default 30 s
}

func (l Limits) orDefault() Limits {
	pick := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.UserBody <= 0 {
		l.UserBody = 1 << 20
	}
	if l.GroupBody <= 0 {
		l.GroupBody = 4 << 20
	}
	pick(&l.Filter, 2048)
	pick(&l.FilterDepth, 16)
	pick(&l.PathLength, 512)
	pick(&l.Operations, 500)
	pick(&l.MemberOperations, 10000)
	pick(&l.Page, 200)
	pick(&l.InFlight, 256)
	if l.Timeout <= 0 {
		l.Timeout = 30 * time.Second
	}
	return l
}

// Options are what New needs.
type Options struct {
	Directory Directory     // required
	Auth      Authenticator // required
	// AllowClient refuses a request of a connection by the client's address;
	// any error is answered 403 and logged. Nil: every address.
	AllowClient func(conn string, r *http.Request) error
	// Seen is told of every request with a valid token. Nil: nobody is told.
	Seen func(ctx context.Context, conn string)
	// BaseURL is the public address of Prefix, such as
	// https://offramp.example.com/scim/v2, for meta.location and Location.
	// Empty: locations are paths on the same host.
	BaseURL string
	Limits  Limits
	Log     *zap.Logger           // nil: no log
	Metrics prometheus.Registerer // nil: not exported
	Now     func() time.Time      // nil: time.Now
}

// server is the state behind the handler; it is immutable but for in flight.
type server struct {
	opt      Options
	limits   Limits
	users    *resourceKind
	groups   *resourceKind
	docs     map[string]document
	metrics  *metrics
	inFlight chan struct{}
	library  scimlib.Server
}

// New returns a handler for everything below Prefix. It starts nothing; the
// handler may be used concurrently. Serve it with ConfigureServer's settings.
func New(o Options) (http.Handler, error) {
	if o.Directory == nil || o.Auth == nil {
		return nil, errors.New("scim: a Directory and an Authenticator are required")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	if o.BaseURL == "" {
		o.BaseURL = Prefix
	}
	s := &server{opt: o, limits: o.Limits.orDefault(), users: userKind(), groups: groupKind()}
	s.inFlight = make(chan struct{}, s.limits.InFlight)
	var err error
	if s.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	if s.docs, err = s.documents(); err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	if s.library, err = s.newLibrary(); err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	chain := s.observe(s.authenticate(s.guard(s.discovery(s.liftQuery(s.normalize(s.library))))))
	// Cleaned paths would be answered with a redirect, which turns POST into GET.
	router := mux.NewRouter().SkipClean(true)
	router.PathPrefix(Prefix).Handler(http.StripPrefix(Prefix, chain))
	return router, nil
}

// newLibrary sets the library up over our two handlers and our own schemas.
func (s *server) newLibrary() (scimlib.Server, error) {
	resourceType := func(k *resourceKind, h scimlib.ResourceHandler) (scimlib.ResourceType, error) {
		core, err := k.core.library()
		if err != nil {
			return scimlib.ResourceType{}, err
		}
		rt := scimlib.ResourceType{
			ID: optional.NewString(k.name), Name: k.name, Endpoint: k.endpoint, Schema: core, Handler: h,
		}
		for _, d := range k.extensions {
			ext, err := d.library()
			if err != nil {
				return rt, err
			}
			rt.SchemaExtensions = append(rt.SchemaExtensions, scimlib.SchemaExtension{Schema: ext})
		}
		return rt, nil
	}
	users, err := resourceType(s.users, userHandler{s})
	if err != nil {
		return scimlib.Server{}, err
	}
	groups, err := resourceType(s.groups, groupHandler{s})
	if err != nil {
		return scimlib.Server{}, err
	}
	return scimlib.NewServer(&scimlib.ServerArgs{
		ServiceProviderConfig: &scimlib.ServiceProviderConfig{MaxResults: s.limits.Page, SupportFiltering: true, SupportPatch: true},
		ResourceTypes:         []scimlib.ResourceType{users, groups},
	})
}

// ConfigureServer sets what the handler relies on in the server around it:
// headers of at most 16 KiB, and no connection that lives on by being slow.
// Fields that are already set are kept.
func ConfigureServer(srv *http.Server) {
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = 16 << 10
	}
	for _, t := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&srv.ReadHeaderTimeout, 10 * time.Second},
		{&srv.ReadTimeout, 30 * time.Second},
		{&srv.WriteTimeout, 90 * time.Second},
		{&srv.IdleTimeout, 2 * time.Minute},
	} {
		if *t.field == 0 {
			*t.field = t.value
		}
	}
}
