# The front door: every target does its own set-up in .venv with the pinned packages.
PYTHON ?= python3
BIN := .venv/bin
comma := ,
# libvirt-python has no wheels: it is built only where its headers are.
LIBVIRT := $(shell pkg-config --exists libvirt 2>/dev/null && echo $(comma)libvirt)
RUN_EXTRAS := emulator,dashboard
DEV_EXTRAS := $(RUN_EXTRAS),bacnet,brick,mqtt,modbus,web,oidc,calendar,placement,dev$(LIBVIRT)
PYTEST_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo dashboard test quick check bench constraints clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/bin/uv: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .venv/uv.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	@touch $@

.venv/run.ok: pyproject.toml constraints.txt .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet --constraint constraints.txt --editable ".[$(RUN_EXTRAS)]"
	@touch $@

.venv/dev.ok: pyproject.toml constraints.txt .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --quiet --constraint constraints.txt --editable ".[$(DEV_EXTRAS)]"
	@touch $@ .venv/run.ok

setup: .venv/dev.ok ## virtual environment with everything for development

demo: .venv/run.ok ## the whole loop on the bundled site, in a fresh workspace
	$(BIN)/understudy demo

dashboard: .venv/run.ok ## serve the dashboard on the demo workspace, its building alive beside it
	$(BIN)/understudy dashboard --workspace var/demo --emulated

test: .venv/dev.ok ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_FLAGS)

quick: .venv/dev.ok ## tests that take seconds
	$(BIN)/python -m pytest -m "not slow and not real" $(PYTEST_FLAGS)

check: .venv/dev.ok ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/dev.ok ## every benchmark, quick
	@for b in benchmarks/*.py; do echo "== $$b"; $(BIN)/python $$b --quick || exit $$?; done

constraints: .venv/bin/uv ## pin anew (no registry address is written)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url \
		--no-header --no-annotate pyproject.toml --output-file constraints.txt

clean: ## remove what the targets made
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
