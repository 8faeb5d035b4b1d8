# Framehaul from a bare clone: `make demo`, `make test`, `make lint`. Needs Python 3.11 or newer and nothing else.
#   make demo PYTHON=python3.12     another Python
#   make test ARGS="-k uris"        arguments for pytest, or for `framehaul demo`
#   make test ARGS="-n 0"           one test after another, in one process

PYTHON ?= python3
ARGS ?=
SHELL := bash

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Stamps: as long as they are newer than these files, nothing is installed.
FOR_DEMO := $(VENV)/.installed-agent
FOR_TESTS := $(VENV)/.installed-agent-dev
NAMED_IN := pyproject.toml constraints.txt
COMMA := ,
# tests/running.py says how many workers `auto` is. They keep the order of the files, and one without work takes another's.
IN_PARALLEL := -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs constraints

help: ## list what can be made
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(FOR_DEMO) ## haul a clip through a local machine, from order to proof
	@$(BIN)/framehaul demo $(ARGS)

test: $(FOR_TESTS) ## run all tests
	@$(BIN)/python -m pytest $(IN_PARALLEL) $(ARGS)

lint: $(FOR_TESTS) ## check style, format and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

docs: $(FOR_TESTS) ## write the pages that are printed from the code
	@$(BIN)/python -m tests.contract.test_states_page

# In a fresh environment, so that what somebody tried out in .venv does not end up in the list.
constraints: | $(BIN)/pip ## pin the newest versions that pyproject.toml allows
	@rm -rf build/constraints && $(BIN)/python -m venv build/constraints
	@echo "Installing the newest versions into build/constraints, to list them."
	@build/constraints/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  --upgrade --upgrade-strategy eager -e '.[agent,dev]'
	@{ echo "# The exact versions that the tests run with; \`make constraints\` writes this file."; \
	   build/constraints/bin/python -m pip freeze --all --exclude-editable --exclude pip --exclude wheel \
	   | sed -nE 's/^([A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*)(\+[a-z0-9.]+)?$$/\1/p'; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/constraints

# One line for each big download, and one for the long silence afterwards; errors go to stderr as they are.
define install
	@if [ -e $(FOR_DEMO) ]; then echo "Bringing $(VENV) up to date; most of it is there."; else \
	  echo "Installing Framehaul with its packages into $(VENV); this happens once and takes some minutes."; \
	  echo "To download: about 3 GB on Linux, where torch brings CUDA along; about 0.4 GB on a Mac,"; \
	  echo "and wherever pip finds a CPU build of torch (PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS names it)."; fi
	@set -o pipefail; $(PIP) install --progress-bar off -e '.[$(1)]' -c constraints.txt \
	  | { grep --line-buffered -oE '(Downloading|Using cached) [^/ ]+ \([0-9.]+ [MG]B\)|^Installing collected packages' || true; }
	@touch $@
endef

$(FOR_DEMO): $(NAMED_IN) | $(BIN)/pip
	$(call install,agent)

# spandrel, the oracle of the networks, names torchvision, which would bring a torch of its own: it comes alone.
$(FOR_TESTS): $(NAMED_IN) | $(BIN)/pip
	$(call install,agent$(COMMA)dev)
	@$(PIP) install --quiet --no-deps spandrel==0.4.2
	@touch $(FOR_DEMO)

$(BIN)/pip:
	@command -v "$(PYTHON)" > /dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or say which: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Framehaul needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)." >&2; \
	  echo "Say which other one to use: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu it is a package: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
