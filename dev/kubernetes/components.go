package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// APIServerArgs names the variable with more flags for kube-apiserver, separated by blanks (an audit policy, say).
const APIServerArgs = "LOCKSTEP_APISERVER_ARGS"

// cluster is a directory that holds one control plane.
type cluster struct {
	dir   string
	logs  string
	ports ports
}

func (c cluster) process(name string) process {
	return process{name: name, file: filepath.Join(c.dir, name+".pid"), log: filepath.Join(c.logs, name+".log")}
}

func (c cluster) pki(name string) string        { return filepath.Join(c.dir, "pki", name) }
func (c cluster) kubeconfig(user string) string { return filepath.Join(c.dir, user+".kubeconfig") }
func (c cluster) server() string                { return fmt.Sprintf("https://127.0.0.1:%d", c.ports.APIServer) }
func (c cluster) etcd() string                  { return fmt.Sprintf("http://127.0.0.1:%d", c.ports.Etcd) }

func (c cluster) etcdArgs() []string {
	return []string{
		"--data-dir=" + filepath.Join(c.dir, "etcd"),
		"--listen-client=" + c.etcd(),
		fmt.Sprintf("--listen-peer=http://127.0.0.1:%d", c.ports.EtcdPeer),
	}
}

func (c cluster) apiServerArgs() []string {
	return append([]string{
		"--etcd-servers=" + c.etcd(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.ports.APIServer),
		"--endpoint-reconciler-type=none", // loopback endpoints are not valid in the kubernetes Service
		"--tls-cert-file=" + c.pki("apiserver.crt"),
		"--tls-private-key-file=" + c.pki("apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=" + c.server(),
		"--service-account-jwks-uri=" + c.server() + "/openid/v1/jwks",
		"--service-account-signing-key-file=" + c.pki("sa.key"),
		"--service-account-key-file=" + c.pki("sa.pub"),
		"--allow-privileged=true",
	}, strings.Fields(os.Getenv(APIServerArgs))...)
}

func (c cluster) controllerManagerArgs() []string {
	return append(c.clientArgs("kube-controller-manager", c.ports.ControllerManager),
		"--use-service-account-credentials=true",
		// The default of 20 a second makes the start 5 s slower.
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// Else it makes a directory on the host.
		"--flex-volume-plugin-dir="+filepath.Join(c.dir, "flexvolume"),
		"--service-account-private-key-file="+c.pki("sa.key"),
		"--root-ca-file="+c.pki("ca.crt"),
		"--cluster-signing-cert-file="+c.pki("ca.crt"),
		"--cluster-signing-key-file="+c.pki("ca.key"),
	)
}

func (c cluster) schedulerArgs() []string { return c.clientArgs("kube-scheduler", c.ports.Scheduler) }

// clientArgs are what the two clients of the API server have in common.
func (c cluster) clientArgs(name string, port int) []string {
	kubeconfig := c.kubeconfig(name)
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--leader-elect=false",
	}
}
