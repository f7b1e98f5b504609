// Command judge reads a JSON object strictly, as those read it who use it: a
// field that they do not know is an error, in a dashboard also one that is
// missing. Its argument is the kind: Dashboard by Grafana's own schema,
// PodMonitor and PrometheusRule by the Prometheus operator's own types. It
// prints the errors, a line each.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

func main() {
	raw, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = judge(os.Args[1], raw)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func judge(kind string, raw []byte) error {
	switch kind {
	case "Dashboard":
		return judgeDashboard(raw)
	case "PodMonitor":
		return read(raw, &monitoring.PodMonitor{})
	case "PrometheusRule":
		return read(raw, &monitoring.PrometheusRule{})
	}

	return fmt.Errorf("no such kind: %s", kind)
}

func read(raw []byte, object any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()

	return decoder.Decode(object)
}

func judgeDashboard(raw []byte) error {
	plugins.RegisterDefaultPlugins()

	var board dashboard.Dashboard
	err := board.UnmarshalJSONStrict(raw)

	// It returns a list of errors also when that list is empty.
	var faults cog.BuildErrors
	if errors.As(err, &faults) && len(faults) == 0 {
		err = nil
	}
	if err != nil {
		return err
	}

	return board.Validate()
}
