package amplitudefake

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// serveControl is the surface for whoever runs the simulation. It asks for no
// credentials.
func (f *Fake) serveControl(w http.ResponseWriter, r *http.Request) {
	handle := map[string]func(http.ResponseWriter, *http.Request){
		"/_sim/state": f.controlState, "/_sim/requests": f.controlRequests, "/_sim/switches": f.controlSwitches,
		"/_sim/faults": f.controlFaults, "/_sim/human": f.controlHuman, "/_sim/clock": f.controlClock,
		"/_sim/credentials": f.controlCredentials,
	}[r.URL.Path]
	if handle == nil {
		tell(w, http.StatusNotFound, object{"error": "no such control; there are state, requests, switches, faults, human, clock and credentials"})
		return
	}
	handle(w, r)
}

func tell(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func tellError(w http.ResponseWriter, status int, err error) {
	tell(w, status, object{"error": err.Error()})
}

// hear decodes the request's body; when it cannot, the request is answered.
func hear(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		tellError(w, http.StatusBadRequest, err)
		return false
	}
	return true
}

func wrongMethod(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	tell(w, http.StatusMethodNotAllowed, object{"error": "allowed: " + allow})
}

func (f *Fake) controlState(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		wrongMethod(w, "GET")
		return
	}
	if email := r.URL.Query().Get("email"); email != "" {
		tell(w, http.StatusOK, f.PersonState(email))
		return
	}
	tell(w, http.StatusOK, f.State())
}

func (f *Fake) controlRequests(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		wrongMethod(w, "GET")
		return
	}
	effect := r.URL.Query().Get("effect")
	tell(w, http.StatusOK, f.Requests(RequestFilter{Surface: r.URL.Query().Get("surface"), Effect: effect == "1" || effect == "true"}))
}

func (f *Fake) controlCredentials(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		wrongMethod(w, "GET")
		return
	}
	tell(w, http.StatusOK, f.Credentials())
}

// controlSwitches changes all named switches or, when one is wrong, none.
func (f *Fake) controlSwitches(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
	case http.MethodPut:
		var in map[string]string
		if !hear(w, r, &in) {
			return
		}
		if err := f.setSwitches(in); err != nil {
			tellError(w, http.StatusBadRequest, err)
			return
		}
	default:
		wrongMethod(w, "GET, PUT")
		return
	}
	tell(w, http.StatusOK, f.Switches())
}

func (f *Fake) setSwitches(in map[string]string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.knobsCopy()
	for name, value := range in {
		if err := f.setSwitch(name, value); err != nil {
			f.knobs = before
			return err
		}
	}
	return nil
}

// controlFaults lists, adds, and removes (?id=; none: all) fault rules.
func (f *Fake) controlFaults(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var in Fault
		if !hear(w, r, &in) {
			return
		}
		if _, err := f.AddFault(in); err != nil {
			tellError(w, http.StatusBadRequest, err)
			return
		}
	case http.MethodDelete:
		id, err := strconv.Atoi(r.URL.Query().Get("id"))
		if err != nil && r.URL.Query().Has("id") {
			tellError(w, http.StatusBadRequest, errors.New("id is not a number"))
			return
		}
		f.RemoveFault(id)
	default:
		wrongMethod(w, "GET, POST, DELETE")
		return
	}
	tell(w, http.StatusOK, f.Faults())
}

func (f *Fake) controlHuman(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		wrongMethod(w, "POST")
		return
	}
	var in Action
	if !hear(w, r, &in) {
		return
	}
	out, err := f.Human(in)
	switch {
	case errors.Is(err, ErrRefused):
		tellError(w, http.StatusConflict, err)
	case err != nil:
		tellError(w, http.StatusBadRequest, err)
	default:
		tell(w, http.StatusOK, out)
	}
}

func (f *Fake) controlClock(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		var in struct {
			Advance Span `json:"advance"`
		}
		if !hear(w, r, &in) {
			return
		}
		if err := f.Advance(time.Duration(in.Advance)); err != nil {
			tellError(w, http.StatusBadRequest, err)
			return
		}
	default:
		wrongMethod(w, "GET, POST")
		return
	}
	f.mu.Lock()
	out := object{"now": f.now(), "offset": f.offset.String()}
	f.mu.Unlock()
	tell(w, http.StatusOK, out)
}
