package console

import (
	_ "embed"
	"fmt"

	"github.com/goccy/go-yaml"
)

//go:embed openapi.yaml
var description []byte

// describe returns the description of the operator API as JSON.
func describe() ([]byte, error) {
	b, err := yaml.YAMLToJSON(description)
	if err != nil {
		return nil, fmt.Errorf("read the description of the API: %w", err)
	}
	return b, nil
}
