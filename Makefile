# Everything is made as it is needed: `make run` and `make test` work in a bare clone.
#   make run [ARGS=--no-browser]   JupyterLab on a copy of the examples, in .run/
#   make test                      tests of Python, of TypeScript, and in a real browser
#   make test-wheel                what pip installs, in an environment of its own
#   make torture [SEED=1] [KILLS=300]   servers, kernels, nannies killed again and again; 20 minutes
#   make lint | bench | lock | dist | clean
# Needs python3 >= 3.10 (or PYTHON=...), node >= 20, git.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
FRONT := $(shell find labextension/src labextension/style labextension/schema -type f)
LABEXTENSION := $(VENV)/share/jupyter/labextensions/notebook-exec
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root,)
ARGS ?=
# npm resolves to what was there on this day: later releases of JupyterLab are not complete
# on every mirror. Only `make lock` looks at it.
NPM_BEFORE ?= 2026-10-01

.PHONY: setup run test test-python test-front test-ui test-wheel torture chromium lint format bench lock dist clean

setup: $(STAMPS)/install

$(STAMPS)/python: requirements-ci.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or later is needed: make PYTHON=python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-ci.txt \
		|| { echo "The locked versions do not fit this Python; taking the latest that do." >&2; \
		     $(BIN)/python -m pip install --quiet -r requirements-dev.txt; }
	@mkdir -p $(@D) && touch $@

$(STAMPS)/node: package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' \
		|| { echo "node 20 or later is needed" >&2; exit 1; }
	npm ci --no-audit --no-fund
	@mkdir -p $(@D) && touch $@

$(STAMPS)/front: $(STAMPS)/node package.json tsconfig.json $(FRONT)
	npm run --silent build:lib
	npm run --silent build:labextension
	@mkdir -p $(@D) && touch $@

$(STAMPS)/install: $(STAMPS)/python $(STAMPS)/front pyproject.toml install.json $(wildcard jupyter-config/*/*)
	rm -rf $(LABEXTENSION) # or pip would write through the link
	HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --no-build-isolation --no-deps -e .
	# A link instead of the copy, so that a build is seen at the next reload of the page.
	rm -rf $(LABEXTENSION)
	ln -s $(CURDIR)/notebook_exec/labextension $(LABEXTENSION)
	@mkdir -p $(@D) && touch $@

run: setup
	mkdir -p .run/notebooks
	cp -n examples/*.ipynb .run/notebooks/ || true
	JUPYTER_CONFIG_DIR=.run/config JUPYTER_DATA_DIR=.run/data JUPYTER_RUNTIME_DIR=.run/runtime \
		$(BIN)/jupyter lab $(AS_ROOT) --ServerApp.root_dir=.run/notebooks $(ARGS)

test: test-python test-front test-ui

# Tests with real kernels and servers wait most of their time, so two parts run at once. Each part
# remembers what failed in it (PYTEST_ARGS=--last-failed); pytest's 5 is that nothing was to be run.
PARTS := servers pure kernels
ARGS_servers := tests/server tests/process tests/torture
ARGS_kernels := tests/kernels
ARGS_pure := tests $(addprefix --ignore=,$(ARGS_servers) $(ARGS_kernels))

test-python: setup
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target $(PARTS:%=test-python-%)

test-python-%:
	@echo "::: python: $*"
	@$(BIN)/pytest --last-failed-no-failures none $(PYTEST_ARGS) -o cache_dir=build/pytest-$* $(ARGS_$*) \
		|| test $$? = 5

# The wheel in an environment of its own, as people install it.
test-wheel: setup
	rm -rf build/wheel
	HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(BIN)/python -m build --no-isolation --wheel --outdir build/wheel
	NOTEBOOK_EXEC_WHEEL=$$(ls $(CURDIR)/build/wheel/*.whl) $(BIN)/pytest tests/packaging

torture: setup
	NOTEBOOK_EXEC_TORTURE_SEED=$(or $(SEED),1) NOTEBOOK_EXEC_TORTURE_KILLS=$(or $(KILLS),300) \
		$(BIN)/pytest tests/torture

test-front: $(STAMPS)/node
	npm run --silent test

$(STAMPS)/ui: ui-tests/package-lock.json
	cd ui-tests && npm ci --no-audit --no-fund
	@mkdir -p $(@D) && touch $@

test-ui: setup $(STAMPS)/ui chromium
	cd ui-tests && npx playwright test $(UI_ARGS)

chromium:
	@if [ -z "$(CHROMIUM)" ] && ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -q && apt-get install -q -y --no-install-recommends chromium; \
		else \
			echo "The browser tests need Chromium: install it (Debian: apt-get install chromium)," >&2; \
			echo "or name one: make test CHROMIUM=/usr/bin/google-chrome" >&2; exit 1; \
		fi; \
	fi

export CHROMIUM

# One target a tool, so that `make --keep-going lint` (as in CI) says all there is to say.
LINTERS := lint-ruff lint-format lint-mypy lint-imports lint-front lint-ui
.PHONY: $(LINTERS)
lint: $(LINTERS)

lint-ruff: setup
	$(BIN)/ruff check

lint-format: setup
	$(BIN)/ruff format --check

lint-mypy: setup
	$(BIN)/mypy

lint-imports: setup
	$(BIN)/lint-imports

lint-front: $(STAMPS)/node $(STAMPS)/ui
	npm run --silent lint

lint-ui: $(STAMPS)/ui
	cd ui-tests && npx tsc --noEmit

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	npm run --silent format

bench: setup
	$(BIN)/python -m benchmarks $(ARGS)

# New versions of everything that is locked.
lock: $(STAMPS)/node
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet -r requirements-dev.txt
	build/lock/bin/python -m pip freeze --exclude-editable > requirements-ci.txt
	rm -rf build/lock
	npm install --package-lock-only --omit-lockfile-registry-resolved --before=$(NPM_BEFORE)
	cd ui-tests && npm install --package-lock-only --omit-lockfile-registry-resolved --before=$(NPM_BEFORE)

dist: setup
	npm run --silent build:prod
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf build dist lib notebook_exec/labextension .run tsconfig.tsbuildinfo
