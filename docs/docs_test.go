// Package docs_test checks what is written beside the code: that links lead
// somewhere, that every alert has its section in the runbook, and that no file
// outgrew a reader or names the machine it was written on. It must not know
// what the documents say.
package docs_test

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const (
	root     = ".."
	maxLines = 500
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#{1,6}\s+(.*)$`)
	alert   = regexp.MustCompile(`^\s*- alert: (\w+)$`)
	runbook = regexp.MustCompile(`^\s*runbook: (\S+)$`)
)

// repository reads every file that belongs to the repository, by path with
// forward slashes.
func repository(t *testing.T) map[string][]byte {
	t.Helper()
	tree := os.DirFS(root)
	files := map[string][]byte{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == ".git" || name == "bin" || name == "dist"):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(tree, name)
		files[name] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// prose gives the lines of a document outside fenced code.
func prose(document []byte) []string {
	var out []string
	fenced := false
	for line := range strings.Lines(string(document)) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		} else if !fenced {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

// anchors gives the names under which the headings of a document are linked to.
func anchors(document []byte) map[string]bool {
	out := map[string]bool{}
	for _, line := range prose(document) {
		found := heading.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		out[strings.Map(func(r rune) rune {
			switch {
			case r == ' ' || r == '-':
				return '-'
			case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(found[1]))] = true
	}
	return out
}

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	files := repository(t)
	for name, data := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, line := range prose(data) {
			for _, found := range link.FindAllStringSubmatch(line, -1) {
				target, anchor, _ := strings.Cut(found[1], "#")
				if strings.Contains(target, ":") {
					continue // elsewhere
				}
				if target = path.Join(path.Dir(name), target); found[1][0] == '#' {
					target = name
				}
				document, isFile := files[target]
				_, err := fs.Stat(os.DirFS(root), target)
				switch {
				case !isFile && err != nil:
					t.Errorf("%s: %s does not exist", name, found[1])
				case anchor != "" && !anchors(document)[anchor]:
					t.Errorf("%s: %s has no such heading", name, found[1])
				}
			}
		}
	}
}

func TestEveryAlertHasItsSectionInTheRunbook(t *testing.T) {
	t.Parallel()
	files := repository(t)
	sections := anchors(files["docs/runbook.md"])
	names := 0
	current := ""
	for line := range strings.Lines(string(files["deploy/prometheus/rules.yml"])) {
		line = strings.TrimSuffix(line, "\n")
		if found := alert.FindStringSubmatch(line); found != nil {
			current = strings.ToLower(found[1])
			names++
			if !sections[current] {
				t.Errorf("the runbook has no section %s", found[1])
			}
		}
		if found := runbook.FindStringSubmatch(line); found != nil && found[1] != "docs/runbook.md#"+current {
			t.Errorf("alert %s points to %s", current, found[1])
		}
	}
	if names == 0 {
		t.Error("no alerts were found")
	}
	if want := len(sections) - 1; names != want {
		t.Errorf("%d alerts and %d sections in the runbook", names, want)
	}
}

func TestGoFilesFitAReader(t *testing.T) {
	t.Parallel()
	for name, data := range repository(t) {
		if path.Ext(name) != ".go" || bytes.HasPrefix(data, []byte("// Code generated")) {
			continue
		}
		lines := 0
		for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
			lines++
		}
		if lines > maxLines {
			t.Errorf("%s has %d lines; look for the seam", name, lines)
		}
	}
}

func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	t.Parallel()
	// Put together here, or this file would find itself.
	machine := regexp.MustCompile("(^|[^A-Za-z0-9_.-])/" + "(work|root|home)/[A-Za-z0-9_.-]")
	for name, data := range repository(t) {
		for i, line := range bytes.Split(data, []byte("\n")) {
			if machine.Match(line) {
				t.Errorf("%s:%d names a directory of one machine", name, i+1)
			}
		}
	}
}
