// Admission judges a pod template by the Pod Security Standard `restricted`, with the package that the API server does
// it with. Exits with 1 where the pod would be refused, and says why.
//
// Usage: pod-security <TEMPLATE, as JSON
package main

import (
	"encoding/json"
	"fmt"
	"os"

	core "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	var pod core.PodTemplateSpec
	if err := json.NewDecoder(os.Stdin).Decode(&pod); err != nil {
		fail(64, err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		fail(70, err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
	if !result.Allowed {
		fail(1, result.ForbiddenDetail())
	}
}

func fail(code int, why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(code)
}
