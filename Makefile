# `make` lists what there is. The work is done by the scripts in dev/; this file only names it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= $(HOME)/.local
LANES ?=

# One line each, easy to change.
SWEEP := LOCKSTEP_SWEEP=full cargo test --features aws --test scenarios sweep -- --ignored --nocapture
BENCH := cargo bench --locked --features aws --bench access --bench promotion --bench rotation

# Only `make demo KUBECONFIG=...` names a cluster. A KUBECONFIG that happens to be exported in the shell does not: nobody
# means to try Lockstep on whatever cluster they used last.
ifeq ($(origin KUBECONFIG),command line)
CLUSTER := --kubeconfig '$(KUBECONFIG)'
endif

.PHONY: help demo test up down sweep bench lint docs install

help: ## this list
	@echo "usage: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: ## tell the story on the local stack, or on your cluster: make demo KUBECONFIG=FILE
	@dev/stack up --only kubernetes,gerrit,sim $(CLUSTER)
	@dev/stack run dev/demo

test: ## every test against the real systems, with a time per lane; LANES="unit chart" for some
	@dev/lanes $(LANES)

up: ## start Kubernetes, Gerrit, Vault and the stand-ins for Databricks and AWS; env in dev/.state/env
	@dev/stack up $(CLUSTER)

down: ## stop what up and demo have started, and nothing else
	@dev/stack down

sweep: ## kill the operator after every single write in turn (long)
	@dev/stack up
	@dev/stack run env $(SWEEP)

bench: ## measure on a stack of its own, into target/bench/ (two hours)
	@$(BENCH)

lint: ## format, clippy, dependencies, shell scripts, Go
	@dev/lint

docs: ## the API documentation, into target/doc/
	cargo doc --workspace --no-deps --locked --features aws

install: ## lockstep and kubectl-lockstep into PREFIX/bin (default ~/.local)
	cargo build --release --locked --features aws --bin lockstep
	install -D -m 755 "$${CARGO_TARGET_DIR:-target}/release/lockstep" "$(DESTDIR)$(PREFIX)/bin/lockstep"
	ln -sf lockstep "$(DESTDIR)$(PREFIX)/bin/kubectl-lockstep"
