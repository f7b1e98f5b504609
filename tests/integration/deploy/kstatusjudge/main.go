// Command judge says of objects what kstatus makes of them, by its own code:
// the rules by which Helm and Flux wait.
//
// It reads a JSON list of objects from its input, and prints a JSON list with
// the status of each, in order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge() error {
	var objects []*unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}

	words := make([]string, 0, len(objects))
	for _, object := range objects {
		result, err := status.Compute(object)
		if err != nil {
			return err
		}
		words = append(words, result.Status.String())
	}

	return json.NewEncoder(os.Stdout).Encode(words)
}
