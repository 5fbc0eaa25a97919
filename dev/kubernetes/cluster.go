package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const startLimit = 120 * time.Second

// part is a component with what it takes to start it and to know that it serves.
type part struct {
	process
	args  []string
	ready func() error
}

// parts are in the order in which they start: each needs the one before it.
func (c cluster) parts() []part {
	return []part{
		{c.process("etcd"), c.etcdArgs(), c.etcdReady},
		{c.process("kube-apiserver"), c.apiServerArgs(), c.apiServerReady},
		{c.process("kube-controller-manager"), c.controllerManagerArgs(), c.controllerManagerReady},
		{c.process("kube-scheduler"), c.schedulerArgs(), c.schedulerReady},
	}
}

func runCluster(verb string, args []string) error {
	flags := flag.NewFlagSet(verb, flag.ExitOnError)
	dir := flags.String("dir", "", "state directory")
	logs := flags.String("logs", "", "directory for logs (default: the state directory)")
	scheduler := flags.Bool("scheduler", false, "also run kube-scheduler")
	kill := flags.Bool("kill", false, "stop without warning, as a crash would")
	_ = flags.Parse(args) // exits by itself
	if *dir == "" {
		return errors.New("--dir is required")
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	if *logs == "" {
		*logs = absolute
	}
	c := cluster{dir: absolute, logs: *logs}
	switch verb {
	case "up":
		return c.up(*scheduler)
	case "down":
		how := politely
		if *kill {
			how = atOnce
		}
		return c.down(flags.Args(), how)
	default:
		return c.status()
	}
}

// up starts what does not run. Ports and state are those of the first time, so a kubeconfig stays valid.
func (c cluster) up(scheduler bool) error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	var err error
	if c.ports, err = loadPorts(filepath.Join(c.dir, "ports.json")); err != nil {
		return err
	}
	if err := makePKI(filepath.Join(c.dir, "pki")); err != nil {
		return err
	}
	for _, user := range []string{"admin", "kube-controller-manager", "kube-scheduler"} {
		if err := writeKubeconfig(c.kubeconfig(user), filepath.Join(c.dir, "pki"), user, c.server()); err != nil {
			return err
		}
	}
	for _, part := range c.parts() {
		if part.name == "kube-scheduler" && !scheduler {
			continue
		}
		if err := part.ensure(); err != nil {
			return err
		}
		if part.name == "kube-apiserver" {
			if err := c.publishIssuer(); err != nil {
				return fmt.Errorf("making the service account issuer readable: %w", err)
			}
		}
	}
	return nil
}

// ensure starts the component unless it runs, and waits until it serves.
func (p part) ensure() error {
	began := time.Now()
	if p.pid() == 0 {
		fmt.Println("starting", p.name)
		if err := p.start(p.args); err != nil {
			return err
		}
	}
	if err := p.waitReady(startLimit, p.ready); err != nil {
		return err
	}
	fmt.Printf("%s is ready (%.1f s)\n", p.name, time.Since(began).Seconds())
	return nil
}

// down stops the named components, or all, in the opposite order: none complains about one that left first.
func (c cluster) down(names []string, how []insistence) error {
	var failures []error
	for _, part := range slices.Backward(c.parts()) {
		if len(names) == 0 || slices.Contains(names, part.name) {
			failures = append(failures, part.stop(how))
		}
	}
	return errors.Join(failures...)
}

func (c cluster) status() error {
	for _, part := range c.parts() {
		if pid := part.pid(); pid != 0 {
			fmt.Printf("%s pid %d\n", part.name, pid)
		} else {
			fmt.Printf("%s stopped\n", part.name)
		}
	}
	return nil
}
