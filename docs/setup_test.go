package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"offramp/internal/cli"
	"offramp/internal/config"
	"offramp/scim"
)

// fenced gives the blocks of code of a language in a document.
func fenced(document []byte, language string) []string {
	var out []string
	inside, kind, block := false, "", ""
	for line := range strings.Lines(string(document)) {
		switch mark, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case ok && inside:
			if inside = false; kind == language {
				out = append(out, block)
			}
		case ok:
			inside, kind, block = true, mark, ""
		case inside:
			block += line
		}
	}
	return out
}

// row is one row of a table, by the heads of its columns.
type row map[string]string

// tables gives the rows of every table in a document.
func tables(document []byte) []row {
	var out []row
	var heads []string
	for _, line := range prose(document) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			heads = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if heads == nil {
			heads = cells
			continue
		}
		r := row{}
		for i, c := range cells[:min(len(cells), len(heads))] {
			r[heads[i]] = c
		}
		out = append(out, r)
	}
	return out
}

// anybody is every caller.
type anybody struct{}

func (anybody) Connection(context.Context, string) (string, error) { return "any", nil }

// advertised lists the attributes that can be written, as /Schemas tells them:
// schema:attribute and schema:attribute.sub.
func advertised(t *testing.T) []string {
	t.Helper()
	handler, err := scim.New(scim.Options{Directory: struct{ scim.Directory }{}, Auth: anybody{}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/scim/v2/Schemas", http.NoBody)
	r.Header.Set("Authorization", "Bearer any")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	type attribute struct {
		Name, Mutability string
		SubAttributes    []attribute
	}
	var list struct {
		Resources []struct {
			ID         string
			Attributes []attribute
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Resources) < 4 {
		t.Fatalf("/Schemas: %v: %s", err, w.Body)
	}
	out := []string{scim.UserURN + ":externalId", scim.GroupURN + ":externalId"} // of every resource, in no schema
	for _, s := range list.Resources {
		for _, a := range s.Attributes {
			if a.Mutability != "readWrite" {
				continue
			}
			out = append(out, s.ID+":"+a.Name)
			for _, sub := range a.SubAttributes {
				out = append(out, s.ID+":"+a.Name+"."+sub.Name)
			}
		}
	}
	return out
}

func TestMappingsNameOnlyAttributesThatAreKept(t *testing.T) {
	t.Parallel()
	known := advertised(t)
	quoted := regexp.MustCompile("^`([^`]+)`")
	path := regexp.MustCompile(`\[[^]]*\]`)
	files := repository(t)
	for _, name := range []string{"docs/okta.md", "docs/entra.md"} {
		var named []string
		for _, r := range tables(files[name]) {
			schema, cell := scim.UserURN, r["SCIM attribute"]
			if r["SCIM group attribute"] != "" {
				schema, cell = scim.GroupURN, r["SCIM group attribute"]
			}
			if r["External name"] != "" {
				schema, cell = strings.Trim(r["External namespace"], "`"), r["External name"]
			}
			found := quoted.FindStringSubmatch(cell)
			if found == nil {
				continue
			}
			attribute := path.ReplaceAllString(found[1], "")
			if !strings.HasPrefix(attribute, "urn:") {
				attribute = schema + ":" + attribute
			}
			named = append(named, attribute)
			if !slices.Contains(known, attribute) {
				t.Errorf("%s maps to %s, which is not kept", name, attribute)
			}
		}
		for _, a := range known {
			if strings.HasPrefix(a, scim.OfframpURN) && !slices.Contains(named, a) {
				t.Errorf("%s does not say how to map %s", name, a)
			}
		}
		if len(named) < 12 {
			t.Errorf("%s: only %d mappings were found", name, len(named))
		}
	}
}

func TestShownCommandsAreUnderstood(t *testing.T) {
	t.Parallel()
	shown := 0
	for name, data := range repository(t) {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, block := range fenced(data, "") {
			for line := range strings.Lines(block) {
				line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
				command, ok := strings.CutPrefix(line, "offramp ")
				if !ok {
					continue
				}
				shown++
				var words []string
				for word := range strings.FieldsSeq(command) {
					words = append(words, strings.Trim(word, `"'`))
				}
				var out, errs bytes.Buffer
				code := cli.Run(t.Context(), cli.Env{Args: append(words, "--help"), Stdout: &out, Stderr: &errs})
				var usage strings.Builder
				usage.WriteString("offramp")
				for _, w := range words {
					if !regexp.MustCompile(`^[a-z]+$`).MatchString(w) {
						break
					}
					usage.WriteString(" " + w)
				}
				if code != 0 || !strings.Contains(out.String(), "\n  "+usage.String()) {
					t.Errorf("%s shows %q: %s", name, line, errs.String())
				}
			}
		}
	}
	if shown < 20 {
		t.Errorf("only %d commands were found", shown)
	}
}

func TestShownConfigurationIsValid(t *testing.T) {
	t.Parallel()
	variable := regexp.MustCompile(`\{env: (\w+)\}`)
	files := repository(t)
	for _, name := range []string{"docs/okta.md", "docs/entra.md"} {
		blocks := fenced(files[name], "yaml")
		if len(blocks) == 0 {
			t.Errorf("%s shows no configuration", name)
		}
		for _, block := range blocks {
			text := "mode: observe\npublic_url: https://offramp.example.com\norganizations: [{name: main, scim_key: {env: SCIM_KEY}}]\n" + block
			var environ []string
			for _, found := range variable.FindAllStringSubmatch(text, -1) {
				environ = append(environ, found[1]+"="+strings.Repeat(found[1], 10))
			}
			_, problems := config.Load("offramp.yaml", environ, func(file string) ([]byte, error) {
				if file == "offramp.yaml" {
					return []byte(text), nil
				}
				return nil, fs.ErrNotExist
			})
			for _, p := range problems {
				t.Errorf("%s: %s", name, p)
			}
		}
	}
}
