# `make` lists the targets. BIN is where the environment's commands are.
PYTHON ?= python3
BIN ?= .venv/bin

.DEFAULT_GOAL := help
.PHONY: install test check format serve clean help

install:  ## make .venv and install the gateway with its test tools
	$(PYTHON) -m venv .venv && $(BIN)/pip install -e '.[dev]'

test:  ## run the tests
	$(BIN)/pytest -n 2 --dist loadfile

check:  ## everything a change must pass, with coverage
	$(BIN)/ruff format --check && $(BIN)/ruff check && $(BIN)/mypy
	$(BIN)/coverage erase && $(BIN)/coverage run -m pytest && $(BIN)/coverage combine -q && $(BIN)/coverage report

format:  ## format, and mend what ruff can mend
	$(BIN)/ruff check --fix-only && $(BIN)/ruff format

serve:  ## start the gateway
	$(BIN)/gateway serve

clean:  ## remove what the tools left behind; .venv stays
	rm -rf build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':  ## ' '/^[a-z]+:  ## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
