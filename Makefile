# emqttd: everything is run from here. `make` alone lists the targets. Needs npm and make; Bun and Deno are pinned npm packages.

BIN := node_modules/.bin
BUN := $(BIN)/bun
DENO := $(BIN)/deno
VITEST_OPTIONS := run --config test/vitest.config.ts --root . --reporter=default --reporter=./test/tally.ts
READY := node_modules/.package-lock.json

# Without this option (or a plugin in tsconfig.json) effect-tsgo checks no file at all and says that all is well.
EFFECT_RULES := {"name":"@effect/language-service"}

# Extra arguments: `make run ARGS="--port 1884"`, `make test ARGS=test/mqtt`.
ARGS ?=
SUITE ?=

CHECKS := check-types check-lint check-effect check-format check-architecture check-conformance

.DEFAULT_GOAL := help
.PHONY: help run run-deno test test-deno test-crash test-cluster test-overload build test-binary release packages check $(CHECKS) bench bench-workers bench-costs bench-cluster bench-overload profile interop fmt clean

help: ## list the targets
	@echo 'usage: make TARGET'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'examples:'
	@echo '  make run ARGS="--port 1884 --log-level debug"'
	@echo '  make test ARGS=test/router'
	@echo '  RUNS=1 ONLY=qos0,fanout make bench'
	@echo '  make profile ARGS="qos1"'
	@echo '  make interop SUITE=../paho.mqtt.testing'

run: $(READY) ## start the broker on Bun; ARGS="--port 1884" is passed on
	@exec $(BUN) src/main.ts $(ARGS)

run-deno: $(READY) ## start the broker on Deno
	@exec $(DENO) run -A src/main.ts $(ARGS)

test: $(READY) ## all tests on Bun; ARGS=test/router narrows them down
	@$(BUN) --bun node_modules/vitest/vitest.mjs $(VITEST_OPTIONS) $(ARGS)

test-deno: $(READY) ## the same tests on Deno
	@$(DENO) run -A npm:vitest $(VITEST_OPTIONS) $(ARGS)

test-crash: $(READY) ## 30 rounds of kill -9 under load; CRASH_SEED=7 runs one again
	@CRASH_ROUNDS=$${CRASH_ROUNDS:-30} $(MAKE) --no-print-directory test ARGS=test/crash

test-cluster: $(READY) ## clusters of real processes under load, killed, restarted, split; CLUSTER_SEED=7 CLUSTER_ROUNDS=3
	@CLUSTER_ROUNDS=$${CLUSTER_ROUNDS:-3} $(MAKE) --no-print-directory test ARGS="test/cluster $(ARGS)"

build: $(READY) ## the broker as one executable, dist/emqttd, and its papers
	@$(BUN) scripts/release/compile.ts
	@$(BUN) scripts/release/papers.ts

test-binary: build ## the end-to-end tests on that executable
	@EMQTTD_BINARY=dist/emqttd $(MAKE) --no-print-directory test ARGS="test/e2e test/cli test/release $(ARGS)"

release: $(READY) ## archives for all platforms into dist/release; ARGS="linux-x64 macos-arm64" for some
	@$(BUN) scripts/release/release.ts $(ARGS)

test-overload: $(READY) ## the service of connected clients under attack, 30 s each
	@EMQTTD_OVERLOAD_SECONDS=30 $(BUN) --bun node_modules/vitest/vitest.mjs $(VITEST_OPTIONS) test/broker/overload

packages: build ## a .deb and an .rpm of dist/emqttd into dist/packages
	@$(BUN) scripts/release/packages.ts

check: $(READY) ## types, lint, Effect diagnostics, format, architecture, conformance table
	@passed=0; failed=0; \
	for step in $(CHECKS); do \
	  if $(MAKE) --no-print-directory $$step; then passed=$$((passed + 1)); echo "ok      $$step"; \
	  else failed=$$((failed + 1)); echo "FAILED  $$step (alone: make $$step)"; fi; \
	done; \
	echo "$$passed passed, $$failed failed"; \
	test $$failed -eq 0

check-types: $(READY)
	@$(BIN)/tsc -p tsconfig.json

check-lint: $(READY)
	@$(BIN)/oxlint --deny-warnings src test scripts

check-effect: $(READY)
	@$(BIN)/effect-tsgo diagnostics --strict --project tsconfig.json --format text --lspconfig '$(EFFECT_RULES)'

check-format: $(READY)
	@$(DENO) fmt --check

check-architecture: $(READY)
	@$(BUN) --bun node_modules/vitest/vitest.mjs run --config test/vitest.config.ts --root . --reporter=dot test/architecture.test.ts

check-conformance: $(READY)
	@$(BUN) scripts/conformance/build.ts --check

bench: $(READY) ## measure Mosquitto and this broker, write docs/benchmarks.md (RUNS=3 SECS=3 QUICK=1 ONLY=qos0,fanout)
	@$(BUN) scripts/bench/bench.ts $(ARGS)

bench-workers: $(READY) ## two workers against one process, pairs in turn (RUNS=3 SECS=4 WARMUP=10)
	@RUNS=$${RUNS:-3} SECS=$${SECS:-4} WARMUP=$${WARMUP:-10} BROKERS=emqttd ONLY=qos0,workers-qos0,qos1,workers-qos1,tls-qos0,workers-tls-qos0,churn,workers-churn,tls-churn,workers-tls-churn \
	  $(BUN) scripts/bench/bench.ts $(ARGS)

bench-costs: $(READY) ## what access rules and rates cost on the packet path, into docs/benchmarks.md (RUNS=9 SECS=1)
	@$(BUN) scripts/bench/costs.ts

bench-cluster: $(READY) ## take-over between nodes and the joining of a large one (HOPS=600)
	@$(BUN) scripts/bench/clusterTimes.ts

bench-overload: $(READY) ## the latency of connected clients under attack, into docs/overload.md (SECONDS=30)
	@$(BUN) scripts/overload/overload.ts

profile: $(READY) ## CPU profile of the broker under a scenario: make profile ARGS=qos1
	@$(BUN) scripts/bench/profile.ts $(ARGS)

interop: $(READY) ## the Eclipse Paho suite: make interop SUITE=<clone of eclipse/paho.mqtt.testing>
	@test -n "$(SUITE)" || { \
	  echo 'interop: say where the suite is: make interop SUITE=<folder>, a clone of eclipse/paho.mqtt.testing' >&2; exit 2; }
	@$(BUN) scripts/interop/interop.ts "$(SUITE)"

fmt: $(READY) ## format the sources
	@$(DENO) fmt --quiet

clean: ## remove what was installed, built and measured (not data/)
	rm -rf node_modules dist coverage

# Installed anew only when the lockfile is newer. Where npm is told to ignore install scripts, Bun's has to be run by hand.
$(READY): package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20 or later, which brings it' >&2; exit 1; }
	@npm ci --prefer-offline --no-audit --no-fund
	@$(BUN) --version >/dev/null 2>&1 || (cd node_modules/bun && node install.js) || { \
	  echo 'Bun could not be set up: node_modules/bun/install.js failed, see above' >&2; exit 1; }
	@touch $@
