# On a fresh Debian or Ubuntu machine with python3 and make, each target installs what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -qq: a warning of pip's about the machine's own index settings says nothing about this project; errors still show.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Exactly what the lock names, resolved by nobody: a release published since then can neither get in nor break it.
LOCKED := $(PIP) --no-deps --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast coverage docs capacity-proof faults new-check bench bench-decode bench-docs bench-mock bench-records bench-compare bench-intervals soak \
	secrets fuzz fuzz-mock hostile sanitize dotnet real lint typecheck format lock audit release clean programs

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.base ## run the whole tool once against the mock provider; writes runs/demo/report.html
	$(BIN)/streamgauge demo --out runs/demo

# T: a file, a folder or a test (make test T=tests/harness/metrics/test_slo.py); K: a word of the test's name.
T ?= tests
test: $(VENV)/.dev programs ## run the tests (T=path for some of them, K=word for those with the word in their name)
	$(BIN)/python -m pytest -q $(if $(filter tests,$(T)),-n auto --dist worksteal) $(T) $(if $(K),-k "$(K)")

# These tests never wait, so a process a core is enough.
test-fast: $(VENV)/.dev ## run the tests that start no server, with fewer examples for property tests
	HYPOTHESIS_PROFILE=fast $(BIN)/python -m pytest -q -n $$(nproc) --dist worksteal -m "not server and not slow" \
		--ignore tests/e2e --ignore tests/fuzz

# COVERAGE_PROCESS_START makes the workers of pytest measure themselves; tests/conftest.py hides it from their children.
coverage: $(VENV)/.dev programs ## run all tests and print the lines of harness and mock_provider that no test reaches
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/python -m pytest -q -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(VENV)/.dev ## write the generated parts of README, docs/ and docs/schema/ again
	$(BIN)/python -m tools.summary_fields
	$(BIN)/python -m tools.docs

new-check: $(VENV)/.dev ## start a check: NAME=group.name writes its module and its tapes
	@$(BIN)/python -m tools.new_check "$(NAME)"

bench: $(VENV)/.dev ## what a token costs this client, and its error, beside other clients (A="aligned --streams 400")
	$(BIN)/python -m tests.bench.clients $(A)

bench-docs: $(VENV)/.dev ## the same, and write docs/performance.md: 15 minutes on a quiet machine
	$(BIN)/python -m tests.bench.clients --write $(A)

bench-mock: $(VENV)/.dev ## what a token costs the mock, and how late it is, beside other servers
	$(BIN)/python -m tests.bench.mock

bench-decode: $(VENV)/.dev ## what a token costs between its last read and its record, by the ordinary and the fast path
	$(BIN)/python -m tests.bench.decode

bench-records: $(VENV)/.dev ## a report of a million streams: time and memory (2 GB of disk while it runs)
	$(BIN)/python -m tests.bench.records

capacity-proof: N = 100
capacity-proof: $(VENV)/.dev ## capacity against closed forms: 100 simulated searches of each kind of endpoint (N=20 for fewer)
	STREAMGAUGE_CAPACITY_RUNS=$(N) $(BIN)/python -m pytest -q -n $$(nproc) tests/harness/capacity/test_capacity_truth.py \
		tests/harness/capacity/test_capacity_rate.py

bench-intervals: $(VENV)/.dev ## how often intervals of dependent streams hold the truth, in simulated runs: 3 minutes (A="--times 200")
	$(BIN)/python -m tests.bench.intervals $(A)

bench-compare: $(VENV)/.dev ## how often compare and overhead are right, in simulated runs: 3 minutes (A="--times 50")
	$(BIN)/python -m tests.bench.comparing $(A)

faults: $(VENV)/.dev ## every fault under a load (killed, stopped, disk full, clock set ...); writes docs/faults.md: 12 minutes
	$(BIN)/python -m tests.faults $(A)

sanitize: $(VENV)/.dev ## 10,000 streams of all kinds through the native reader's core, under sanitizers and valgrind
	$(BIN)/python -m tests.native.sanitize

soak: SECONDS = 1800
soak: $(VENV)/.dev ## half an hour of 200 fast and 2,000 slow streams: memory, descriptors, losses (SECONDS=30 for less)
	$(BIN)/python -m tests.bench.soak --seconds $(SECONDS) $(A)

secrets: N = 1000
secrets: $(VENV)/.dev ## search all outputs for secrets that an endpoint repeats: 1,000 by lot (N=100 for fewer)
	STREAMGAUGE_PLACEMENTS=$(N) $(BIN)/python -m pytest -q -n $$(nproc) tests/e2e/test_secrets.py

fuzz: SECONDS = 600
fuzz: $(VENV)/.fuzz ## 10 minutes of fuzzing of all code that reads what an endpoint sent (SECONDS=60 for less)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

hostile: $(VENV)/.dev ## every attack of tests/hostile on every command: memory, time, exit (A="--only line_endless"; --write)
	$(BIN)/python -m tests.hostile $(A)

fuzz-mock: $(VENV)/.dev ## hostile traffic against the mock for 30 s
	$(BIN)/python -m tests.bench.hostile

real: $(VENV)/.dev ## check and load real frameworks and gateways, installed into build/real (A="express hono")
	$(BIN)/python -m tests.real $(A)

dotnet: $(VENV)/.dev ## build, run and check examples/dotnet (needs a .NET 10 SDK)
	$(BIN)/python -m tools.dotnet_example

lint: $(VENV)/.dev ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy finds a package by its folder's name, so it is given the package as it is installed: a folder of links.
TYPED := build/typed/streamgauge
typecheck: $(VENV)/.dev ## mypy --strict
	@rm -rf build/typed && mkdir -p $(TYPED)
	@ln -s $(CURDIR)/harness/* $(CURDIR)/mock_provider $(CURDIR)/reports $(CURDIR)/scenarios $(TYPED)
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Debian keeps ensurepip in a package of its own; without it a venv comes without pip.
$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || if [ "$$(id -u)" = 0 ]; \
		then apt-get update -qq && apt-get install -y -qq python3-venv; \
		else echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)

# The native reader is compiled by the install, so a change of its sources installs again.
READER_SOURCES := $(wildcard setup.py harness/transport/*.[ch])
$(VENV)/.base: requirements/base.txt requirements/build.txt pyproject.toml $(READER_SOURCES) | $(BIN)/python
	@echo "installing the pinned dependencies into $(VENV) ..."
	$(LOCKED) requirements/build.txt
	$(LOCKED) requirements/base.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "installing what tests and linters need ..."
	$(LOCKED) requirements/dev.txt
	@touch $@

$(VENV)/.fuzz: requirements/fuzz.txt $(VENV)/.dev
	$(LOCKED) requirements/fuzz.txt
	@touch $@

# The tests that want a program that is not here skip, and say so. Of Apache, the program alone: it starts no service.
PROGRAMS := nginx haproxy caddy apache2
programs:
	@PATH="$$PATH:/usr/sbin" which $(PROGRAMS) >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing $(PROGRAMS) for the tests ..." \
		&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends nginx-light haproxy caddy apache2-bin >/dev/null; } || \
		echo "not all of $(PROGRAMS) are installed: the tests of the others will be skipped"

# Universal pins (every Python from 3.11 on), extras, hashes, and no index address. LOCK_FLAGS= keeps today's versions.
LOCK_FLAGS ?= --upgrade
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras --quiet $(LOCK_FLAGS)
lock: $(VENV)/.lock ## pin the dependencies again, with hashes (LOCK_FLAGS= keeps today's versions)
	$(BIN)/$(LOCK) pyproject.toml --output-file requirements/base.txt
	$(BIN)/$(LOCK) pyproject.toml --group dev --output-file requirements/dev.txt
	$(BIN)/$(LOCK) --group fuzz --output-file requirements/fuzz.txt
	$(BIN)/$(LOCK) --group release --constraints requirements/dev.txt --no-emit-package pip --output-file requirements/release.txt
	$(BIN)/$(LOCK) --group build --output-file requirements/build.txt
	$(BIN)/$(LOCK) --group lock --output-file requirements/lock.txt

audit: $(VENV)/.release ## look for known vulnerabilities in every package that a lock pins (asks PyPI)
	$(BIN)/pip-audit --require-hashes --disable-pip --progress-spinner off \
		$(foreach lock,base dev build fuzz lock release,--requirement requirements/$(lock).txt)

release: $(VENV)/.release ## build/release: the wheel, built twice and compared, its bill of materials, their hashes
	$(BIN)/python -m tools.release

$(VENV)/.release: requirements/release.txt $(VENV)/.base
	$(LOCKED) requirements/release.txt
	@touch $@

$(VENV)/.lock: requirements/lock.txt | $(BIN)/python
	$(LOCKED) requirements/lock.txt
	@touch $@

clean: ## remove the virtual environment, caches and builds
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
