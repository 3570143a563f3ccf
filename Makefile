# Needs python3 (3.11 or newer) and make; everything else goes into virtual environments here.
#
#   make tour    install into .venv-tour, run notebooks/tour.ipynb, write tour.html
#   make test    install with the test extras into .venv, run the tests
#   make check   formatting, lint, types, generated files, tests of the TypeScript
#   make dev     like the installation of make test, but editable
#   make clean   remove everything that these commands made

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python that runs (a pyenv shim may not), is new enough and can make environments.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3 python3.14; do \
	if $$python -c '$(USABLE)' >/dev/null 2>&1; then echo $$python; break; fi; done)
endif

VENV := .venv
TOUR := .venv-tour
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check install --quiet
TYPESCRIPT = $(wildcard pyodide_kernel/js/*.ts packaging/*.ts tests/js/*.ts)

.PHONY: help tour test check dev install clean

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/bin/python $(TOUR)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No usable Python: 3.11 or newer with the modules venv and ensurepip is needed" \
			"(on Debian and Ubuntu: apt-get install python3 python3-venv)." >&2; \
		exit 1; \
	fi
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)

# An ordinary installation, so that the tests see what users get.
install: $(BIN)/python
	@echo "Installing; the first time this takes a minute or two."
	$(BIN)/python $(PIP) '.[test]'
	@touch $(VENV)/ready

dev: $(BIN)/python
	$(BIN)/python $(PIP) --editable '.[test]'
	@touch $(VENV)/ready

$(VENV)/ready: pyproject.toml
	@$(MAKE) --no-print-directory install

test: install
	$(BIN)/pytest -n 2

tour: $(TOUR)/bin/python
	@echo "Installing; the first time this takes a minute."
	$(TOUR)/bin/python $(PIP) '.[tour]'
	$(TOUR)/bin/jupyter nbconvert --execute --to html --output-dir . --output tour \
		notebooks/tour.ipynb
	@echo "Open tour.html"

check: $(VENV)/ready
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/deno fmt --check
	$(BIN)/deno lint
	$(BIN)/deno check $(TYPESCRIPT)
	$(BIN)/python tools/generate_messages_ts.py --check
	$(if $(wildcard tests/js/*_test.ts),$(BIN)/deno test --quiet --allow-read tests/js)

clean:
	rm -rf $(VENV) $(TOUR) tour.html dist pyodide_kernel/_runtime
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
