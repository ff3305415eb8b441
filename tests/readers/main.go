// Readers prints, as one JSON object, what the kubelet, the docker CLI or Compose finds in an env file,
// each through its own package, what Compose makes of a project's file, or what the Prometheus operator reads
// of a PodMonitor or a ServiceMonitor. Exits with 1 where the package finds fault with the file.
//
// Usage: readers kubernetes|docker|compose|project|pod-monitor|service-monitor FILE [NAME…]. The kubelet looks for one
// name at a time.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubelet "k8s.io/kubernetes/pkg/kubelet/util/env"
	"sigs.k8s.io/yaml"
)

var readers = map[string]func(path string, names []string) (any, error){
	"kubernetes": readForKubernetes,
	"docker":     readForDocker,
	"compose":    readForCompose,
	"project":    readProject,

	"pod-monitor":     readPodMonitor,
	"service-monitor": readServiceMonitor,
}

func main() {
	if len(os.Args) < 3 || readers[os.Args[1]] == nil {
		fail(64, "usage: readers kubernetes|docker|compose|project|pod-monitor|service-monitor FILE [NAME…]")
	}
	values, err := readers[os.Args[1]](os.Args[2], os.Args[3:])
	if err != nil {
		fail(1, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(values); err != nil {
		fail(74, err)
	}
}

func fail(code int, why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(code)
}

func readForKubernetes(path string, names []string) (any, error) {
	values := map[string]string{}
	for _, name := range names {
		value, err := kubelet.ParseEnv(path, name)
		if err != nil {
			return nil, err
		}
		// The kubelet takes an empty value for a key that is not there.
		if value != "" {
			values[name] = value
		}
	}
	return values, nil
}

func readForDocker(path string, _ []string) (any, error) {
	lines, err := kvfile.Parse(path, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		values[name] = value
	}
	return values, nil
}

func readForCompose(path string, _ []string) (any, error) {
	return dotenv.GetEnvFromFile(map[string]string{}, []string{path})
}

// As `docker compose config --format json` does: the schema is held against the file, and what it leaves open filled in.
func readProject(path string, _ []string) (any, error) {
	options, err := cli.NewProjectOptions([]string{path})
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func readPodMonitor(path string, _ []string) (any, error) {
	return readMonitor(path, monitoring.PodMonitorsKind, &monitoring.PodMonitor{})
}

func readServiceMonitor(path string, _ []string) (any, error) {
	return readMonitor(path, monitoring.ServiceMonitorsKind, &monitoring.ServiceMonitor{})
}

// A field that the operator's types do not have is refused, as the API server refuses it with `--validate=strict`.
func readMonitor(path string, kind string, monitor schema.ObjectKind) (any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(text, monitor); err != nil {
		return nil, err
	}
	if wanted := monitoring.SchemeGroupVersion.WithKind(kind); monitor.GroupVersionKind() != wanted {
		return nil, fmt.Errorf("not a %v", wanted)
	}
	return monitor, nil
}
