# Everything is set up by itself, inside .venv, and again only when what it was made from has changed.
PYTHON ?= python3
JOBS ?= 2
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input -qq
DONE := $(VENV)/done
PACKAGES := app.py marketplace merchants incentives web
LOCKS := requirements.txt requirements-dev.txt requirements-bench.txt
FRONT_END := web/static/manifest.json
FRONT_END_SOURCES := $(shell find web/assets -type f -not -path '*/node_modules/*' -not -path '*/__pycache__/*')

UV_VERSION := 0.13.9
UV := $(VENV)/lock/bin/uv
COMPILE = env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS UV_NO_CONFIG=1 $(UV) pip compile -q \
	--universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate $(if $(UPGRADE),--upgrade)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup setup-dev run test faults check lint format bench lock lock-addresses

help:  ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup  ## serve the demonstration on http://127.0.0.1:8000
	@$(PY) app.py demo && exec $(PY) app.py serve

test: setup-dev check  ## make check, then the tests (ARGS="-k redeem" to choose, JOBS=2 processes)
	@echo "tests"
	@$(PY) -m pytest -n $(JOBS) --dist loadscope $(ARGS)

faults: setup-dev  ## the whole fault suite (ARGS="--seed 7" for another crowd)
	@$(PY) -m pytest -n $(JOBS) --dist loadscope tests/faults --whole $(ARGS)

check: lint lock-addresses  ## lint, types, who may import whom, lock files
	@echo "types"
	@$(PY) -m mypy
	@echo "imports"
	@$(VENV)/bin/lint-imports --no-logo

lint: setup-dev  ## style and format of the code, changing nothing
	@echo "lint"
	@$(PY) -m ruff check --quiet --output-format concise
	@$(PY) -m ruff format --check --quiet --output-format concise

format: setup-dev  ## format the code, and mend what can be mended safely
	@$(PY) -m ruff check --fix --quiet --exit-zero
	@$(PY) -m ruff format

bench: setup-dev $(DONE)/bench  ## measure all, about ten minutes (GROW=1: how cost grows, a quarter of an hour; BENCH="--rounds 1" and so on)
	@$(PY) -m tests.bench --python $(VENV)/bench/bin/python \
		$(if $(GROW),--grow $(if $(filter 1,$(GROW)),1000000,$(GROW))) $(BENCH)

lock: $(UV) $(DONE)/runtime  ## lock the dependencies anew (UPGRADE=1 for newer versions)
	@echo "locking: $(LOCKS), web/assets/package-lock.json"
	@$(COMPILE) pyproject.toml --group build -o requirements.txt
	@$(COMPILE) pyproject.toml --group build --group dev -c requirements.txt -o requirements-dev.txt
	@$(COMPILE) --group bench -c requirements.txt -o requirements-bench.txt
	@$(PY) web/assets/build.py --lock
	@$(MAKE) --no-print-directory lock-addresses

lock-addresses:
	@if grep -nE '(https?|file)://' $(LOCKS) || grep -n '"resolved"' web/assets/package-lock.json; \
	then echo "a lock file carries an address: run make lock" >&2; exit 1; fi

# ---------------------------------------------------------------- set-up
setup: $(FRONT_END)

setup-dev: setup $(DONE)/dev

$(DONE)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "chutan needs Python 3.11 or later and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/runtime: requirements.txt $(DONE)/venv
	@echo "installing the locked packages (about 20 s)"
	@$(PIP) install --no-deps --require-hashes -r requirements.txt
	@touch $@

$(DONE)/dev: requirements-dev.txt $(DONE)/runtime
	@echo "installing the packages for development"
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

$(DONE)/bench: requirements-bench.txt $(DONE)/venv
	@echo "installing the comparators into $(VENV)/bench"
	@$(PYTHON) -m venv --clear $(VENV)/bench
	@$(VENV)/bench/bin/python -m pip --disable-pip-version-check --no-input -qq \
		install --no-deps --require-hashes -r requirements-bench.txt
	@touch $@

$(DONE)/project: pyproject.toml $(DONE)/runtime
	@echo "building chutan"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(FRONT_END): $(DONE)/project $(FRONT_END_SOURCES)
	@$(PY) web/assets/build.py && touch $@

$(UV): $(DONE)/venv
	@$(PYTHON) -m venv --clear $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip --disable-pip-version-check -qq install uv==$(UV_VERSION)
