package main_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentedCommandsExist finds every command line of ours in the documents
// and deploy files, and asks the binary for its help: the command has to be
// there and know each flag.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	lines := documented(t)
	if len(lines) < 15 {
		t.Fatalf("only %d command lines were found; the search is broken", len(lines))
	}
	help := map[string]string{}
	for line, where := range lines {
		words := strings.Fields(line)
		command := words[:0:0]
		for _, w := range words {
			if !isWord(w) {
				break
			}
			command = append(command, w)
		}
		text, found := helpOf(t, help, command)
		if !found {
			t.Errorf("%s: there is no command offramp %s", where, line)
			continue
		}
		for _, w := range words {
			flag, _, _ := strings.Cut(strings.Trim(w, "[]()…,;."), "=")
			if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`(^|\s)`+regexp.QuoteMeta(flag)+`\b`).MatchString(text) {
				t.Errorf("%s: offramp %s: there is no flag %s", where, line, flag)
			}
		}
	}
}

// isWord tells the name of a command from a flag, an argument or a placeholder.
func isWord(w string) bool { return regexp.MustCompile(`^[a-z]+$`).MatchString(w) }

// helpOf returns the help of a command. The words after the name of a command
// without others below it are its arguments.
func helpOf(t *testing.T, known map[string]string, command []string) (string, bool) {
	t.Helper()
	key := strings.Join(command, " ")
	if text, ok := known[key]; ok {
		return text, text != ""
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(slices.Clone(command), "--help")...)
	cmd.Env = append(os.Environ(), "OFFRAMP_TEST_MAIN=1")
	out, err := cmd.Output()
	text := string(out)
	if err != nil || !strings.Contains(text, "Usage:\n  offramp "+key) {
		text = ""
	}
	known[key] = text
	return text, text != ""
}

// documented returns the command lines without the name of the binary, and a
// place where each stands. They stand in shell blocks and in backquotes.
func documented(t *testing.T) map[string]string {
	t.Helper()
	tree := os.DirFS(filepath.Join("..", ".."))
	quoted := regexp.MustCompile("`(?:/usr/local/bin/)?offramp ([a-z][^`]*)`")
	whole := regexp.MustCompile(`(?:^|[\s="])(?:/usr/local/bin/offramp|\./offramp|offramp|go run \./cmd/offramp) ([a-z][^#|&;"]*)`)
	lines := map[string]string{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && !strings.HasPrefix(name, "docs") && !strings.HasPrefix(name, "deploy"):
			return fs.SkipDir
		case !entry.Type().IsRegular() || path.Dir(name) == "." && name != "README.md" && name != "CONTRIBUTING.md" || path.Ext(name) == ".go":
			return nil
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		fenced := false
		for line := range strings.Lines(string(data)) {
			if fence := strings.HasPrefix(strings.TrimSpace(line), "```"); fence {
				fenced = !fenced && strings.TrimLeft(strings.TrimSpace(line), "`") != "mermaid"
				continue
			}
			for _, found := range quoted.FindAllStringSubmatch(line, -1) {
				lines[strings.TrimSpace(found[1])] = name
			}
			unit := path.Ext(name) == ".service" && strings.HasPrefix(line, "Exec")
			if found := whole.FindStringSubmatch(line); found != nil && (fenced || unit) {
				lines[strings.TrimSpace(found[1])] = name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
