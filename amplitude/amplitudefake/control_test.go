package amplitudefake_test

import (
	"testing"
	"time"

	sim "offramp/amplitude/amplitudefake"
)

func TestTheControlSurfaceNeedsNoCredentials(t *testing.T) {
	w := newWorld(t, sim.Options{})
	w.people("jo@example.com", "li@example.com")
	w.asset(sim.Asset{Kind: sim.KindDashboard, Name: "Board", Owners: []string{"jo@example.com"}})

	w.send("GET", "/_sim/state", nil).want(200).has(`"email":"jo@example.com"`, `"kind":"dashboard"`, `"unassigned":[]`, `"removals":[]`, `"outbox":[]`, `"resurrections":[]`)
	w.send("GET", "/_sim/state?email=LI@example.com", nil).want(200).has("li@example.com").lacks("jo@example.com", "Board")
	w.send("GET", "/_sim/credentials", nil).want(200).has(w.creds.SCIMKey, w.creds.Projects[1].ManagementKey)

	w.send("PUT", "/_sim/switches", `{"list_lag":"10s","redelete":"204"}`).want(200).has(`"list_lag":"10s"`, `"redelete":"204"`)
	w.send("PUT", "/_sim/switches", `{"redelete":"404","gremlins":"on"}`).want(400).has("gremlins")
	w.send("GET", "/_sim/switches", nil).want(200).has(`"redelete":"204"`)

	w.send("POST", "/_sim/faults", `{"match":{"method":"GET","path_prefix":"/scim/","surface":"scim"},"kind":"hang","delay":"1ms","count":1,"retry_after":3}`).
		want(200).has(`"id":1`, `"delay":"1ms"`)
	w.send("POST", "/_sim/faults", `{"kind":"gremlins"}`).want(400).has("status_after")
	w.send("POST", "/_sim/faults", `{"kid":"status"}`).want(400)
	w.send("DELETE", "/_sim/faults?id=x", nil).want(400)
	w.send("DELETE", "/_sim/faults?id=1", nil).want(200).has("[]")

	w.send("POST", "/_sim/human", `{"action":"bulk_transfer","from":"jo@example.com","to":"li@example.com"}`).want(200).has(`"changed":1`)
	w.send("POST", "/_sim/human", `{"action":"login","email":"nobody@example.com"}`).want(409)
	w.send("POST", "/_sim/human", `{"action":"wave"}`).want(400)

	w.send("POST", "/_sim/clock", `{"advance":"24h"}`).want(200).has(`"offset":"24h0m0s"`)
	w.send("POST", "/_sim/clock", `{"advance":60}`).want(200).has(`"offset":"24h1m0s"`)
	w.send("POST", "/_sim/clock", `{"advance":"-1h"}`).want(400)
	w.send("GET", "/_sim/clock", nil).want(200).has(w.Now().Format(time.RFC3339))

	w.scim("DELETE", "/Users/jo@example.com", nil).want(204)
	w.scim("GET", "/Users", nil).want(200)
	w.send("GET", "/_sim/requests", nil).want(200).has(`"method":"DELETE"`, `"method":"GET"`, `"effect":"removed member"`, `"surface":"scim"`, `"status":204`)
	w.send("GET", "/_sim/requests?effect=1", nil).want(200).has("DELETE").lacks(`"method":"GET"`)
	w.send("GET", "/_sim/requests?surface=taxonomy", nil).want(200).has("[]")

	w.send("GET", "/_sim/nothing", nil).want(404)
	for path, method := range map[string]string{
		"state": "POST", "requests": "DELETE", "switches": "POST", "faults": "PUT", "human": "GET", "clock": "PUT", "credentials": "POST",
	} {
		if got := w.send(method, "/_sim/"+path, nil).want(405); got.header.Get("Allow") == "" {
			t.Errorf("%s does not say what is allowed", path)
		}
	}
}
