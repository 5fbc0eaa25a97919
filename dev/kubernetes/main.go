// Kubernetes is one binary that holds a real control plane for a developer's machine:
//
//	kubernetes up   --dir D [--logs L] [--scheduler]   start, or start again what has died; same ports, same state
//	kubernetes down --dir D [--kill] [COMPONENT...]    stop what up has started there, and nothing else
//	kubernetes status --dir D                          one line per component
//	kubernetes etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl ARGS...
//
// Each component is a process of its own: they share process-wide registries (flags, feature gates, metrics) and would
// trip over each other in one.
package main

import (
	"fmt"
	"os"
	_ "time/tzdata"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = "usage: kubernetes up|down|status|etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl ..."

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	// The commands below read os.Args themselves and name themselves after its first element.
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "up", "down", "status":
		exit(runCluster(os.Args[0], os.Args[1:]))
	case "etcd":
		exit(runEtcd(os.Args[1:]))
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		runKubectl()
	default:
		fmt.Fprintf(os.Stderr, "unknown command %s\n%s\n", os.Args[0], usage)
		os.Exit(2)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}

func runKubectl() {
	// What kubectl's own main does before it runs.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}
