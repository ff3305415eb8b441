module vault-exec.test/readers

go 1.26.0

require (
	github.com/compose-spec/compose-go/v2 v2.16.2
	github.com/docker/cli v29.9.3+incompatible
	// For pkg/kubelet/util/env alone, which imports nothing but the standard library.
	k8s.io/kubernetes v1.36.3
)

require (
	github.com/sirupsen/logrus v1.10.1 // indirect
	golang.org/x/sys v0.40.0 // indirect
)
