# make demo   a real alert, from a failing exporter to a verified repair (AUTO=1 approves by itself)
# make test   everything that must hold: style, types, the whole suite
# make bench  speed, against a bare floor measured in the same run
# The distribution's build first: those of version managers are often made without the compiler's
# profile, and take half as long again for the same work.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) python3.11)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# One more than there are cores: many tests wait for real parts.
PARALLEL ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 1)))

# Bytecode is kept: every start of stanch would otherwise compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup test lint unit demo bench packages schemas clean

setup: $(STAMP)

# uv installs the pinned set in seconds; pip is the way to uv and the fallback where it cannot be had.
$(STAMP): pyproject.toml constraints.txt tools/venv.sh
	PYTHON=$(PYTHON) sh tools/venv.sh $(VENV)
	touch $(STAMP)

packages:
	sh tools/packages.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: setup
	$(BIN)/pytest -n $(PARALLEL) --dist loadgroup

test: packages setup lint unit

demo: packages setup
	$(BIN)/stanch demo $(if $(AUTO),--auto)

bench: setup
	$(BIN)/python -m bench

schemas: setup
	$(BIN)/python -m engine.edges.schemas

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache
