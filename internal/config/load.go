package config

import (
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxSize is far above the largest sensible file, and keeps a wrong path from
// filling the memory.
const maxSize = 1 << 20

// overlayPrefix begins the variables that replace single values of the file.
const overlayPrefix = "OFFRAMP_"

// Load reads the file at path, fills in defaults, overlays OFFRAMP_<KEY> for
// the top-level keys that are a single value, resolves secrets, and checks
// everything. environ is as os.Environ gives it; readFile is os.ReadFile, or a
// test's own. The Config is nil exactly when there are problems.
func Load(path string, environ []string, readFile func(string) ([]byte, error)) (*Config, Problems) {
	data, err := readFile(path)
	if err != nil {
		return nil, Problems{{File: path, Text: unreadable(err)}}
	}
	if len(data) > maxSize {
		return nil, Problems{{File: path, Text: "this is not a configuration file; it is larger than 1 MiB"}}
	}
	variables := environment(environ)
	besides := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	d := &decoder{
		source: source{file: path, at: map[string]position{}, given: map[string]string{}},
		bad:    map[string]bool{},
		secret: func(kind, name string) (Secret, string) {
			if kind == "env" {
				return fromVariable(variables, name)
			}
			return fromFile(besides(name), name, readFile)
		},
	}
	c := Default()
	root, problem := parse(path, data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	if root != nil {
		d.value("", root, reflect.ValueOf(c).Elem())
	}
	d.overlay(c, variables)
	c.source = d.source
	c.normalize(besides)
	d.problems = append(d.problems, validate(c, d.bad, readFile)...)
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, inOrder)
		return nil, d.problems
	}
	for i := range c.Operators {
		operator := &c.Operators[i]
		operator.TokenHash = cmp.Or(operator.TokenHash, operator.Token.SHA256())
	}
	return c, nil
}

// Problem places a sentence at a key such as hooks[0].handles[1], for the
// checks that need what this package must not know.
func (c *Config) Problem(key, text string) Problem { return c.source.problem(key, text) }

// inOrder sorts by place in the file, and what is not in the file last.
func inOrder(a, b Problem) int {
	if (a.File == "") != (b.File == "") {
		if a.File == "" {
			return 1
		}
		return -1
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}

// parse returns the root of the one document in data, nil when it is empty.
func parse(path string, data []byte) (ast.Node, *Problem) {
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p := &Problem{File: path, Text: "mend the YAML here"}
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			p.Text += ": " + syntax.GetMessage()
			if t := syntax.GetToken(); t != nil && t.Position != nil {
				p.Line, p.Column = max(t.Position.Line, 1), max(t.Position.Column, 1)
			}
		}
		return nil, p
	}
	var root ast.Node
	for _, document := range file.Docs {
		if document.Body == nil || document.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			p := &Problem{File: path, Line: 1, Column: 1, Text: "keep one document; everything after the line of dashes is not read"}
			if t := firstToken(document.Body); t != nil && t.Position != nil {
				p.Line, p.Column = t.Position.Line, t.Position.Column
			}
			return nil, p
		}
		root = document.Body
	}
	return root, nil
}

// overlay sets the top-level keys that the environment names.
func (d *decoder) overlay(c *Config, variables map[string]string) {
	v := reflect.ValueOf(c).Elem()
	for _, name := range names(v.Type()) {
		variable := overlayPrefix + strings.ToUpper(name)
		text, ok := variables[variable]
		if !ok {
			continue
		}
		d.source.given[name] = variable
		delete(d.bad, name)
		// What the environment replaces is no problem of the file.
		d.problems = slices.DeleteFunc(d.problems, func(p Problem) bool { return p.Key == name })
		field, _ := fieldByName(v, name)
		problem := ""
		if name == "database" {
			c.Database, problem = parseDatabase(text)
		} else if field.Kind() == reflect.String {
			field.SetString(text)
		} else {
			problem = "unset it; this setting is more than one value and stands in the file"
		}
		if problem != "" {
			d.tell(name, problem)
		}
	}
}

// environment makes a map of NAME=value lines; the last of a name wins.
func environment(lines []string) map[string]string {
	out := make(map[string]string, len(lines))
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, "="); ok {
			out[name] = value
		}
	}
	return out
}

func fromVariable(variables map[string]string, name string) (Secret, string) {
	value := strings.TrimSpace(variables[name])
	if value == "" {
		return Secret{}, "set the environment variable " + name + "; it is unset or empty"
	}
	return Secret{value: value, from: "env " + name}, ""
}

func fromFile(path, name string, readFile func(string) ([]byte, error)) (Secret, string) {
	data, err := readFile(path)
	if err != nil {
		return Secret{}, "put the secret into the file " + name + ": " + unreadable(err)
	}
	value := strings.TrimSpace(string(data))
	if value == "" {
		return Secret{}, "put the secret into the file " + name + "; it is empty"
	}
	return Secret{value: value, from: "file " + name}, ""
}

// unreadable says why a file cannot be read, without its path, which stands
// beside it already.
func unreadable(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "the user of this process may not read it"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// parseDatabase reads sqlite:PATH or a PostgreSQL URL, or says what to write.
func parseDatabase(text string) (Database, string) {
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok {
		if path == "" || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#") {
			return Database{}, "write sqlite: and the path of a file, such as sqlite:/var/lib/offramp/offramp.db"
		}
		return Database{Path: path}, ""
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || strings.Trim(u.Path, "/") == "" {
		return Database{}, "write sqlite:PATH or postgres://USER@HOST:PORT/NAME"
	}
	return Database{URL: Secret{value: text, from: "database"}}, ""
}

// hasPassword says whether a database URL holds one.
func hasPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	_, inUser := u.User.Password()
	return inUser || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// normalize brings values into the form that the fields promise.
func (c *Config) normalize(besides func(string) string) {
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	for _, path := range []*string{&c.Database.Path, &c.TLS.Cert, &c.TLS.Key} {
		if *path != "" {
			*path = besides(*path)
		}
	}
	for i := range c.Connections {
		lowerAll(c.Connections[i].Domains)
	}
	for i := range c.Organizations {
		for j := range c.Organizations[i].Projects {
			project := &c.Organizations[i].Projects[j]
			project.Name = cmp.Or(project.Name, project.ID)
		}
	}
	for i := range c.Hooks {
		hook := &c.Hooks[i]
		switch {
		case hook.Dir != "":
			hook.Dir = besides(hook.Dir)
		case hook.Kind == Command:
			hook.Dir = "/"
		}
	}
	for i := range c.Policies {
		c.Policies[i].Successor = strings.ToLower(c.Policies[i].Successor)
	}
	for i := range c.Credentials {
		credential := &c.Credentials[i]
		credential.ID = cmp.Or(credential.ID, credential.Name)
		if credential.Organization == "" && len(c.Organizations) == 1 {
			credential.Organization = c.Organizations[0].Name
		}
		lowerAll(credential.People)
		lowerAll(credential.Tell)
		credential.ManagedBy = strings.ToLower(credential.ManagedBy)
	}
	for i := range c.Operators {
		c.Operators[i].Name = strings.ToLower(c.Operators[i].Name)
	}
	lowerAll(c.Protect.People)
	for i := range c.Approvers {
		c.Approvers[i].Email = strings.ToLower(c.Approvers[i].Email)
	}
	c.Handover.Successor = strings.ToLower(c.Handover.Successor)
}

func lowerAll(values []string) {
	for i, value := range values {
		values[i] = strings.ToLower(value)
	}
}
