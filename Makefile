# LLMasOS. `make help` lists what there is.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
CODE := llmasos knowledge agents workers integrations
ALL := $(CODE) tests benchmarks examples

# Where the models are kept. `make demo` and `make test` use nothing else of it.
export LLMASOS_HOME ?= $(CURDIR)/.llmasos

# The system is many processes, and the tests start hundreds: compiled once, each starts faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install models demo test check format lint types docs clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/installed ## Make .venv with everything in it

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

models: install ## Fetch the two embedded models (about 180 MB, once)
	@$(BIN)/llmasos models pull smollm2-135m-instruct
	@$(BIN)/llmasos models pull all-minilm-l6-v2

demo: models ## Run the whole product once and show what it does
	@$(BIN)/python examples/demo.py

test: models ## Run the tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

check: format lint types docs test ## All that must hold before a change lands

format: install ## Is the code formatted?
	$(BIN)/ruff format --check $(ALL)

lint: install ## Does the code follow the rules?
	$(BIN)/ruff check $(ALL)

types: install ## Are the types right?
	$(BIN)/mypy

docs: install ## Are the generated pages up to date?
	$(BIN)/python docs/generate.py --check

clean: ## Remove the virtual environment (models and state stay)
	rm -rf $(VENV)
