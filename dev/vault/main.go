// Vault is the real server for a developer's machine and for tests: one process, everything in memory, no file but the
// two that it is named.
//
//	vault --listen 127.0.0.1:8200 --token-file T --key-file K
//
// T holds the root token that it shall accept; the key that unseals it is written to K. Neither is ever printed. Mounts
// and policies are made through its API by whoever has the token.
//
// Its licence (BUSL-1.1) allows this use. Nothing of it is part of what Lockstep ships.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

const (
	headerLimit  = 10 * time.Second
	leavingLimit = 5 * time.Second
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8200", "address to serve plain HTTP on")
	tokenFile := flag.String("token-file", "", "holds the root token to accept")
	keyFile := flag.String("key-file", "", "where the key that unseals is written")
	flag.Parse()
	if err := run(*listen, *tokenFile, *keyFile); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(listen, tokenFile, keyFile string) error {
	if tokenFile == "" || keyFile == "" {
		return errors.New("--token-file and --key-file are required")
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	leaving, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// First, so that a taken port is known before anything else is done.
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	core, err := newCore()
	if err != nil {
		return err
	}
	key, err := open(core, strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		return err
	}
	properties := vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}}
	server := http.Server{Handler: vaulthttp.Handler.Handler(&properties), ReadHeaderTimeout: headerLimit}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-leaving.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), leavingLimit)
	defer cancel()
	_ = server.Shutdown(within) // who still waits for an answer sees the connection go
	return core.Shutdown()
}

func newCore() (*vault.Core, error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.Info, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		DisableMlock:       true,
		Logger:             logger,
		BuiltinRegistry:    builtins{},
		LogicalBackends:    secrets,
		CredentialBackends: auths,
	})
}

// open initialises and unseals the core, and makes token a root token of it, as the official development server does.
func open(core *vault.Core, token string) ([]byte, error) {
	made, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{},
	})
	if err != nil {
		return nil, err
	}
	key := made.SecretShares[0]
	if unsealed, err := core.Unseal(key); err != nil || !unsealed {
		return nil, fmt.Errorf("it stays sealed: %w", err)
	}
	request := logical.Request{
		Operation:   logical.UpdateOperation,
		Path:        "auth/token/create",
		ClientToken: made.RootToken,
		Data: map[string]any{
			"id":                token,
			"policies":          []string{"root"},
			"no_parent":         true,
			"no_default_policy": true,
		},
	}
	answer, err := core.HandleRequest(namespace.RootContext(context.Background()), &request)
	if answer != nil && answer.IsError() {
		err = answer.Error() // says more than the other
	}
	if err != nil {
		return nil, fmt.Errorf("it does not accept the root token: %w", err)
	}
	return key, nil
}
