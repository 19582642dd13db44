# Every verb sets up what it needs by itself: Python 3.11 or newer, make and a package index are enough.
#   PYTHON=...  the interpreter to build the environment with      VENV=...  where it is kept
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV ?= .venv
DOCUMENT ?=
TESTS ?= tests
CASES ?=
KILLS ?= 300
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN_STAMP := $(VENV)/.run-installed
DEV_STAMP := $(VENV)/.dev-installed

.PHONY: help run serve test check format bench crash sim sim-long docs lock setup clean

help: ## list these verbs
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: $(RUN_STAMP) ## serve, run a first workflow (DOCUMENT=...), print its result and where to look at it
	@$(BIN)/aether demo $(DOCUMENT) $(ARGS)

serve: $(RUN_STAMP) ## serve runs over HTTP, with pages and metrics, until Ctrl-C (ARGS='--http-port 8000')
	@$(BIN)/aether serve $(ARGS)

test: $(DEV_STAMP) ## run the tests (TESTS=path, ARGS='-k name')
	$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: $(DEV_STAMP) ## lint, format, types, import contracts, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/deptry src
	$(BIN)/python .ci/rooms.py

format: $(DEV_STAMP) ## format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_STAMP) ## measure (CASES='name ...'); prints a table and writes JSON lines to out/
	@mkdir -p out
	$(BIN)/python -m bench $(CASES) $(ARGS)

crash: $(DEV_STAMP) ## kill a working engine again and again on each durable store (KILLS=300, ARGS='--store sqlite --seed 7')
	@mkdir -p out
	PYTHONPATH=tests $(BIN)/python -m crash --kills $(KILLS) --keep out $(ARGS)

sim: $(DEV_STAMP) ## the whole engine under fixed and fresh seeds, about a minute (ARGS='--seed 7')
	$(BIN)/python -m aether.testing.simulation $(or $(ARGS),--seeds 40 --fresh 1000 --seconds 55 --coverage)

sim-long: $(DEV_STAMP) ## many seeds (SEEDS=1000, ARGS='--first 40'), with what happened how often
	$(BIN)/python -m aether.testing.simulation --seeds $(or $(SEEDS),1000) --coverage --seen $(ARGS)

docs: $(DEV_STAMP) ## check every link and run every example of README and docs
	$(BIN)/python -m pytest tests/repo/test_docs.py $(ARGS)

setup: $(DEV_STAMP) ## build the environment only

lock: ## write requirements/*.txt anew from pyproject.toml
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --quiet install pip-tools
	$(VENV)-lock/bin/pip-compile $(LOCK) --extra http --extra server --output-file requirements/run.txt \
		pyproject.toml requirements/build.in
	$(VENV)-lock/bin/pip-compile $(LOCK) --extra encryption --extra http --extra server --extra postgres --extra testing --extra dev --constraint requirements/run.txt \
		--output-file requirements/dev.txt pyproject.toml requirements/build.in

clean: ## remove the environment and everything generated
	rm -rf $(VENV) $(VENV)-lock out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

LOCK := --quiet --upgrade --generate-hashes --no-header --no-annotate --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Aether needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'building $(VENV)' >&2
	$(PYTHON) -m venv $(VENV)

# The project comes last and alone: an editable install has no hash, and its dependencies are there.
$(RUN_STAMP): requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(RUN_STAMP)
	$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@
