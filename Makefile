# `make demo` makes an accompaniment, `make test` runs the tests; each makes the environment it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VOCAL ?= examples/vocadito_10.flac
OUT ?= out

.PHONY: demo test lint bench clean

demo: $(VENV)/.demo
	$(BIN)/hafm accompany "$(VOCAL)" -o "$(OUT)" --picture

test: $(VENV)/.dev lint
	$(BIN)/python tests/upstream/fetch.py
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run_all.py
	$(BIN)/python benchmarks/report.py

clean:
	rm -rf $(VENV) .cache build *.egg-info

$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hafm_hf needs Python 3.11 or newer; run make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml setup.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,media]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml setup.cfg
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
