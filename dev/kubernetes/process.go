package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	termGrace    = 15 * time.Second
	killGrace    = 5 * time.Second
	tailLines    = 15
)

// process is a component that up has started, recorded in a file that outlives us.
//
// A pid alone proves nothing, it may belong to somebody else by now: the record also holds the tick at which the kernel
// started it, and the command line must still name the component.
type process struct {
	name string // the component: the subcommand that the process runs
	file string // holds "PID TICK"
	log  string
}

func (p process) start(args []string) error {
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, append([]string{p.name}, args...)...)
	command.Stdout, command.Stderr = log, log
	// A session of its own: Ctrl-C in the terminal that ran up must not reach it.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return err
	}
	// Reap it: a child that has ended would look alive as a zombie.
	go func() { _ = command.Wait() }()
	pid := command.Process.Pid
	return os.WriteFile(p.file, fmt.Appendf(nil, "%d %d\n", pid, startTick(pid)), 0o600)
}

// pid is 0 when the recorded process is gone.
func (p process) pid() int {
	recorded, err := os.ReadFile(p.file)
	if err != nil {
		return 0
	}
	var pid int
	var tick uint64
	if _, err := fmt.Sscan(string(recorded), &pid, &tick); err != nil || tick == 0 || startTick(pid) != tick {
		return 0
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if argv := bytes.Split(line, []byte{0}); err != nil || len(argv) < 2 || string(argv[1]) != p.name {
		return 0
	}
	return pid
}

type insistence struct {
	signal syscall.Signal
	grace  time.Duration
}

var (
	politely = []insistence{{syscall.SIGTERM, termGrace}, {syscall.SIGKILL, killGrace}}
	atOnce   = []insistence{{syscall.SIGKILL, killGrace}}
)

// stop leaves alone whatever is not ours.
func (p process) stop(how []insistence) error {
	for _, step := range how {
		pid := p.pid()
		if pid == 0 {
			break
		}
		_ = syscall.Kill(pid, step.signal) // it may have ended just now
		for deadline := time.Now().Add(step.grace); p.pid() != 0 && time.Now().Before(deadline); {
			time.Sleep(pollInterval)
		}
	}
	if pid := p.pid(); pid != 0 {
		return fmt.Errorf("%s (pid %d) does not end", p.name, pid)
	}
	if err := os.Remove(p.file); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// waitReady polls until ready returns nil. A process that ends first is an error at once, with the end of its log.
func (p process) waitReady(limit time.Duration, ready func() error) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(pollInterval) {
		err := ready()
		switch {
		case err == nil:
			return nil
		case p.pid() == 0:
			return fmt.Errorf("%s ended before it was ready\n%s", p.name, p.logTail())
		case time.Now().After(deadline):
			return fmt.Errorf("%s was not ready in %s: %w\n%s", p.name, limit, err, p.logTail())
		}
	}
}

func (p process) logTail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return "  (no log at " + p.log + ")"
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return "  the end of " + p.log + ":\n  | " + strings.Join(lines, "\n  | ")
}

// startTick is when the kernel started a process, in clock ticks since boot (proc(5), stat, field 22); 0 when it is gone.
func startTick(pid int) uint64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command name may hold blanks and brackets: fields count from after the last bracket.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || slices.Contains([]string{"Z", "X"}, fields[0]) {
		return 0
	}
	tick, _ := strconv.ParseUint(fields[19], 10, 64)
	return tick
}
