# siploadgen: `make demo` shows it at work, `make test` proves it. Both start from a bare machine.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
SLG_JOBS ?= 2
export SLG_JOBS
SIPLOADGEN_CORPUS ?= $(abspath ../shared/corpus)
export SIPLOADGEN_CORPUS
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE# what was compiled once is kept

SOURCES := setup.py $(shell find ext -name '*.pyx' -o -name '*.pxd' -o -name '*.h')
PYTEST := $(PY) -m pytest
BUILD_EXT := setup.py -q build_ext --inplace --parallel $(SLG_JOBS)
FLOORS := tests --ignore=tests/interop --ignore=tests/tidy --ignore=tests/bench
# where tests use sockets
LIVE := tests/interop tests/loopback tests/library tests/cli/test_startup.py tests/report/test_exports.py
LIVE_JOBS ?= 3# with real peers one mostly waits
FUZZ_SECONDS ?= 120
FUZZ_LIMIT = $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),$(FUZZ_SECONDS))
DEMO_RATE ?= 1000/s
DEMO_TIME ?= 10s

.PHONY: help build demo test unit tidy lint peers debug asan fuzz cov bench docs clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

# What stands side by side below is made side by side; the recipes themselves are in order.
MAKEFLAGS += --jobs=$(SLG_JOBS)

$(VENV)/.ready: pyproject.toml setup.py tools/venv.sh
	@tools/venv.sh report
	@touch $@

$(VENV)/.dev: $(VENV)/.ready
	@tools/venv.sh dev
	@touch $@

# The stamp stands in the folder of generated files: without them there is nothing to be up to date.
build/.built: $(VENV)/.ready $(SOURCES)
	@mkdir -p build
	$(PY) $(BUILD_EXT) 2>&1 | tee build/build.log
	@touch $@

build: build/.built ## .venv, dependencies and the compiled core, in place
	@$(PY) -m compileall -q siploadgen

demo: build ## 10,000 calls against the embedded answerer, with a report in out/demo
	$(VENV)/bin/siploadgen run call --self --rate $(DEMO_RATE) --duration $(DEMO_TIME) --out out/demo

peers: | $(VENV)/.ready ## SIPp, Kamailio, tshark and clang from the distribution's packages
	@tools/peers.sh

test: peers build $(VENV)/.dev lint ## everything: lint, tidy, all floors, loopback, real peers, a little fuzzing
	$(PYTEST) tests -q -m 'not loopback and not interop' -n $(SLG_JOBS) --dist worksteal
	nice -n 19 tools/fuzzers.sh --build & fuzzers=$$!; \
	$(PYTEST) $(LIVE) -q -m '(loopback or interop) and not calm and not quiet' -n $(LIVE_JOBS) \
		--dist loadfile --no-loadscope-reorder --durations=10 || { kill $$fuzzers; exit 1; }; \
	wait $$fuzzers
	$(PYTEST) $(LIVE) -q -m calm -n 2 --dist worksteal --durations=10
	$(PYTEST) $(LIVE) -q -m quiet --durations=10
	FUZZ_QUIET=1 tools/fuzzers.sh 5

unit: build $(VENV)/.dev ## the floors only, on both cores: the quick loop while writing
	$(PYTEST) $(FLOORS) -m 'not loopback' -n $(SLG_JOBS)

tidy: build $(VENV)/.dev ## layers, stubs, hints, text and documents
	$(PYTEST) tests/tidy

lint: $(VENV)/.dev ## ruff, mypy --strict, cython-lint
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy --no-error-summary
	$(VENV)/bin/cython-lint ext

debug asan cov: $(VENV)/.dev
	@tools/mirror.sh $@
	@cd build/$@ && SLG_BUILD=$@ $(CURDIR)/$(PY) $(BUILD_EXT)
	$(RUN_$@)

IN = cd build/$@ && PYTHONPATH=. $(2) $(CURDIR)/$(PY) -m pytest -q -p no:cacheprovider -n $(SLG_JOBS) $(1)
RUN_debug = $(call IN,$(FLOORS),)
RUN_asan = $(call IN,$(FLOORS),$(CURDIR)/tools/sanitized.sh)
RUN_cov = $(call IN,$(FLOORS),) && $(CURDIR)/$(PY) $(CURDIR)/tools/coverage.py .
debug: ## the floors on a build with assertions
asan: ## the floors under AddressSanitizer and UBSan
cov: ## line coverage of the .pyx files, by gcov

fuzz: $(VENV)/.dev ## property tests, then libFuzzer on parser and engine: FUZZ_SECONDS (or FUZZ_RUNS) each
	@tools/mirror.sh asan
	@cd build/asan && SLG_BUILD=asan $(CURDIR)/$(PY) $(BUILD_EXT)
	cd build/asan && PYTHONPATH=. $(CURDIR)/tools/fuzz.sh $(CURDIR)/$(PY) $(FUZZ_SECONDS)
	tools/fuzzers.sh $(FUZZ_LIMIT)

bench: build $(VENV)/.dev ## every benchmark that this machine can run, into benchmarks/results
	$(PY) benchmarks/run.py

docs: $(VENV)/.dev ## the site: documents, tutorials and the Python reference, in build/site
	$(VENV)/bin/mkdocs build --quiet

clean: ## everything made here
	rm -rf build $(VENV) out dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find siploadgen -name '*.so' -delete
	find . -name __pycache__ -prune -exec rm -rf {} +
