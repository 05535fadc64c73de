# On a fresh Debian or Ubuntu machine with python3 and make, each target installs what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -qq: a warning of pip's about the machine's own index settings says nothing about this project; errors still show.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Exactly what the lock names, resolved by nobody: a release published since then can neither get in nor break it.
LOCKED := $(PIP) --no-deps --require-hashes -r

.PHONY: help demo test bench bench-mock bench-paths bench-records fuzz fuzz-mock lint typecheck format lock clean nginx

help:
	@echo "make demo       run the whole tool once against the mock provider; writes runs/demo/report.html"
	@echo "make test       run all tests (installs nginx when it is missing and you are root)"
	@echo "make bench      what a token costs this client, and its error, beside other clients"
	@echo "make bench-mock what a token of the mock costs, and how late it is, beside other servers"
	@echo "make bench-paths what a token costs over TLS and HTTP/2, and its error"
	@echo "make bench-records  a report of a million streams: time and memory (2 GB of disk while it runs)"
	@echo "make fuzz       10 minutes of fuzzing of all that reads what an endpoint sent (SECONDS=60 for less)"
	@echo "make fuzz-mock  hostile traffic against the mock for 30 s"
	@echo "make lint       ruff: rules and formatting"
	@echo "make typecheck  mypy --strict"
	@echo "make format     let ruff rewrite the files"
	@echo "make lock       pin the dependencies again, with hashes"

demo: $(VENV)/.base
	$(BIN)/streamgauge demo --out runs/demo

test: $(VENV)/.dev nginx
	$(BIN)/python -m pytest -q -n auto --dist worksteal

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench.clients

bench-mock: $(VENV)/.dev
	$(BIN)/python -m tests.bench.mock

bench-paths: $(VENV)/.dev
	$(BIN)/python -m tests.bench.paths

bench-records: $(VENV)/.dev
	$(BIN)/python -m tests.bench.records

SECONDS ?= 600
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

fuzz-mock: $(VENV)/.dev
	$(BIN)/python -m tests.bench.hostile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy finds a package by its folder's name, so it is given the package as it is installed: a folder of links.
TYPED := build/typed/streamgauge
typecheck: $(VENV)/.dev
	@rm -rf build/typed && mkdir -p $(TYPED)
	@ln -s $(CURDIR)/harness/* $(CURDIR)/mock_provider $(CURDIR)/reports $(CURDIR)/scenarios $(TYPED)
	$(BIN)/mypy

format: $(VENV)/.dev
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

$(VENV)/.base: requirements/base.txt requirements/build.txt pyproject.toml | $(BIN)/python
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

# The tests that want a real nginx skip, and say so, where it cannot be installed.
nginx:
	@command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& echo "installing nginx for the tests ..." && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null; } || \
		echo "nginx is not installed: its tests will be skipped"

# Universal pins (every Python from 3.11 on), extras, hashes, and no index address. LOCK_FLAGS= keeps today's versions.
LOCK_FLAGS ?= --upgrade
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras --quiet $(LOCK_FLAGS)
lock: $(VENV)/.lock
	$(BIN)/$(LOCK) pyproject.toml --output-file requirements/base.txt
	$(BIN)/$(LOCK) pyproject.toml --group dev --output-file requirements/dev.txt
	$(BIN)/$(LOCK) --group fuzz --output-file requirements/fuzz.txt
	$(BIN)/$(LOCK) --group build --output-file requirements/build.txt
	$(BIN)/$(LOCK) --group lock --output-file requirements/lock.txt

$(VENV)/.lock: requirements/lock.txt | $(BIN)/python
	$(LOCKED) requirements/lock.txt
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
