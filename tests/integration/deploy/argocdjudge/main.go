// Command judge runs health scripts and actions as Argo CD does, by Argo CD's
// own code.
//
// It reads one JSON document from its input: the data of the ConfigMap
// argocd-cm, and what is asked. It prints a JSON list with one answer for each
// question, in order.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/argoproj/argo-cd/v3/pkg/apiclient/application"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/gitops-engine/pkg/health"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	healthKey  = "resource.customizations.health."
	actionsKey = "resource.customizations.actions."
)

// question is one thing to run. An empty Action of the verb "act" is an error.
type question struct {
	Verb       string            `json:"verb"`
	Object     map[string]any    `json:"object"`
	Action     string            `json:"action"`
	Parameters map[string]string `json:"parameters"`
}

// answer holds what came out, or the text of an error.
type answer struct {
	Result any    `json:"result"`
	Error  string `json:"error,omitempty"`
}

type document struct {
	ConfigMap map[string]string `json:"configMap"`
	Questions []question        `json:"questions"`
}

func main() {
	var input document
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	overrides := overridesOf(input.ConfigMap)
	answers := make([]answer, 0, len(input.Questions))
	for _, question := range input.Questions {
		result, err := ask(overrides, question)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
			continue
		}
		answers = append(answers, answer{Result: result})
	}

	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// overridesOf reads the keys "...<group>_<kind>" of the ConfigMap.
func overridesOf(data map[string]string) map[string]v1alpha1.ResourceOverride {
	overrides := map[string]v1alpha1.ResourceOverride{}
	for key, text := range data {
		isHealth := strings.HasPrefix(key, healthKey)
		kind := strings.TrimPrefix(strings.TrimPrefix(key, healthKey), actionsKey)
		kind = strings.Replace(kind, "_", "/", 1)

		override := overrides[kind]
		if isHealth {
			override.HealthLua = text
		} else {
			override.Actions = text
		}
		overrides[kind] = override
	}

	return overrides
}

func ask(overrides map[string]v1alpha1.ResourceOverride, asked question) (any, error) {
	object := &unstructured.Unstructured{Object: asked.Object}
	machine := lua.VM{ResourceOverrides: overrides}

	switch asked.Verb {
	case "health":
		return health.GetResourceHealth(object, lua.ResourceHealthOverrides(overrides))
	case "discover":
		scripts, err := machine.GetResourceActionDiscovery(object)
		if err != nil {
			return nil, err
		}
		return machine.ExecuteResourceActionDiscovery(object, scripts)
	case "act":
		return act(machine, object, asked)
	}

	return nil, fmt.Errorf("no such verb: %q", asked.Verb)
}

func act(machine lua.VM, object *unstructured.Unstructured, asked question) (any, error) {
	action, err := machine.GetResourceAction(object, asked.Action)
	if err != nil {
		return nil, err
	}

	var parameters []*application.ResourceActionParameters
	for name, value := range asked.Parameters {
		parameters = append(parameters, &application.ResourceActionParameters{Name: &name, Value: &value})
	}

	impacted, err := machine.ExecuteResourceAction(object, action.ActionLua, parameters)
	if err != nil {
		return nil, err
	}
	if len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
		return nil, fmt.Errorf("the action %s does more than to change its object", asked.Action)
	}

	return impacted[0].UnstructuredObj.Object, nil
}
