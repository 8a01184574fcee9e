package console

// Operations lists "METHOD path role" of every operation, for the test that
// holds the description against them.
func Operations() []string {
	var out []string
	for _, r := range (&Console{}).routes() {
		out = append(out, r.method+" "+r.path+" "+string(r.need))
	}
	return out
}
