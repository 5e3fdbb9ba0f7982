# Two commands for users: `make demo` and `make test`. The rest is for those who develop.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test quick check format docs clean

demo: $(VENV)/.demo  ## Set up, then show the point of the project on the embedded model
	$(BIN)/cotune demo

test: $(VENV)/.develop check docs  ## Set up, then every check, slow ones too
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

quick: $(VENV)/.develop  ## The short tests, without the check of shapes and types at run time
	COTUNE_CHECK_TYPES=0 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

check: $(VENV)/.develop  ## Format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/.develop  ## Put the code in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.develop  ## Build the pages into site/, warnings are errors
	$(BIN)/python -m mkdocs build --strict --quiet

clean:  ## Remove what the commands above made
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: pip then takes the CPU build where one is at hand.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(PIP) torch
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.develop: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[test,check,docs]'
	touch $@ $(VENV)/.demo
