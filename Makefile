# Everything a person or CI runs. Each target works alone and again on a machine with Python 3.11+, make and git.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run demo test check bench snap soak setup packages format clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("tui-agent needs Python 3.11 or newer; set PYTHON=python3.12, for one") if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/.installed-bench: pyproject.toml $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,bench]'
	touch $@

setup: $(VENV)/.installed-dev ## the virtual environment with everything for development

packages: ## the Debian packages that the tests use (nothing elsewhere)
	@sh tests/packages.sh

run: $(VENV)/.installed ## open the chat; the server starts by itself
	@$(BIN)/tui-agent $(ARGS)

test: $(VENV)/.installed-dev packages ## all tests (ARGS="-k name" for some)
	$(BIN)/python -m pytest -n 2 --dist loadfile --reruns 1 -m "not slow" $(ARGS)

soak: $(VENV)/.installed-dev packages ## the long campaigns; writes docs/soak.json and docs/reliability.md (ARGS="fuzz" for one)
	$(BIN)/python -m tests.soak run $(ARGS)
	test -n "$(ARGS)" || $(BIN)/python -m pytest -m slow --timeout 3600

bench: $(VENV)/.installed-bench packages ## measure all figures; writes docs/bench.md and docs/bench.json (ARGS="acks joins" for some)
	$(BIN)/python -m bench $(ARGS)

check: $(VENV)/.installed-dev ## format, lint, types, arrows, figures, secrets and known holes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.soak check
	$(BIN)/python -m tests.audit

snap: $(VENV)/.installed-dev packages ## the README's pictures (docs/images), and a PNG of each state of the screen (.snap)
	$(BIN)/python -m tests.looks $(ARGS)

format: $(VENV)/.installed-dev ## format and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .bench
