package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
)

// Below the range that the kernel hands out by itself: a recorded port stays ours while its component is stopped.
const firstPort, lastPort = 20000, 31999

// ports are chosen once for a directory: the kubeconfig and the service account issuer hold the API server's.
type ports struct {
	APIServer         int `json:"kube-apiserver"`
	Etcd              int `json:"etcd"`
	EtcdPeer          int `json:"etcd-peer"`
	ControllerManager int `json:"kube-controller-manager"`
	Scheduler         int `json:"kube-scheduler"`
}

func loadPorts(file string) (ports, error) {
	var p ports
	recorded, err := os.ReadFile(file)
	if err == nil {
		return p, json.Unmarshal(recorded, &p)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, port := range []*int{&p.APIServer, &p.Etcd, &p.EtcdPeer, &p.ControllerManager, &p.Scheduler} {
		listener, err := listenSomewhere()
		if err != nil {
			return p, err
		}
		defer listener.Close() // held until all are chosen, so that they differ
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return p, err
	}
	return p, os.WriteFile(file, append(text, '\n'), 0o644)
}

func listenSomewhere() (net.Listener, error) {
	var err error
	for range 200 {
		var listener net.Listener
		port := firstPort + rand.IntN(lastPort-firstPort)
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return listener, nil
		}
	}
	return nil, fmt.Errorf("no free port on 127.0.0.1 between %d and %d: %w", firstPort, lastPort, err)
}
