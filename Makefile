# The commands of this repository. Each is one script in scripts/, which works the same when called by itself.

# One target directory for every checkout on the machine, so that dependencies are compiled once (scripts/lib.sh says the same).
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tose-target

# rustup, when scripts/setup installed it, is on no shell's path yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo stop clean test ci bench fuzz chaos fixtures fmt lint

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

demo: ## run TOSE here and deploy an app (DEMO_API_PORT, DEMO_HTTP_PORT choose the ports)
	@scripts/demo

stop: ## stop what `make demo` started, keeping its data
	@scripts/stop

clean: ## stop the demo and remove all that it made (.tose, and what it has on the engine)
	@scripts/stop --remove
	@rm -rf .tose

setup: ## install what is missing on this machine
	@scripts/setup

test: ## every check there is
	@scripts/test

ci: ## the same, as CI runs it
	@bash .ci/run

bench: ## measure deploys, the proxy, the API and growth beside peers (installs nginx, wrk, PocketBase)
	@scripts/bench

fuzz: ## call all of the API with data made from its OpenAPI document, for some minutes
	@scripts/setup
	@scripts/engine start
	@cargo build --locked -p tose-server
	@scripts/fuzz long

chaos: ## kill the control plane after each thing that the engine does in a deployment; kill and fill the engine
	@scripts/setup
	@scripts/engine start
	@tests/images/build
	@cargo build --locked -p tose-server -p tose-cli
	@TOSE_CHAOS=all TOSE_TEST_ENGINE=required TOSE_TEST_BIN_DIR="$(CARGO_TARGET_DIR)/debug" cargo test --locked -p tose-e2e --test it -- chaos
	@cargo test --locked -p tose-server --test it -- kill crash
	@scripts/engine-faults

fixtures: ## build the images that tests run on
	@scripts/setup
	@scripts/engine start
	@tests/images/build

fmt: ## format the code
	@cargo fmt --all

lint: ## what a reviewer need not say: formatting, clippy, tidy, scripts
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@cargo xtask tidy
	@scripts/check-scripts
