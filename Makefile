# Each door begins with `make setup`, which does what is missing and nothing else.

PYTEST_ARGS ?=
# Files of tests side by side, one more than there are cores, for a third of the time a lab waits; four at most.
BESIDE := --numprocesses $(shell n=$$(($$(nproc) + 1)); echo $$((n < 4 ? n : 4))) --dist loadfile --no-loadscope-reorder
BIN := .venv/bin
# Where no bytecode is kept, each Python that a test starts compiles every module it imports: seconds each time.
unexport PYTHONDONTWRITEBYTECODE
NOTEBOOK := notebooks/01_first_lab.ipynb
# Jupyter refuses to run as root unless told; here it listens on loopback alone, with its token.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check lab soak clean

help:
	@echo 'make demo    start two nodes, run $(NOTEBOOK), print the path of its report'
	@echo 'make lab     open JupyterLab on notebooks/'
	@echo 'make test    lint, check types, run every test but long counts and second variants'
	@echo 'make unit    the tests that start no virtual machine, browser or kernel'
	@echo 'make soak    long counts and second variants, and the benchmarks'
	@echo 'make check   lint and check types only'
	@echo 'make setup   what all of these begin with: packages, .venv, guest image'
	@echo 'make clean   remove what these made in this clone'

setup:
	@.ci/setup $(firstword $(filter test soak unit check,$(MAKECMDGOALS)))

demo: setup
	@$(BIN)/fame-lab report $(NOTEBOOK) --output reports

lab: setup
	@$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --ServerApp.root_dir=notebooks $(AS_ROOT)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What starts no machine, browser or kernel: for each change of a line.
unit: setup
	$(BIN)/pytest -m 'not soak' $(BESIDE) tests/unit $(PYTEST_ARGS)

test: check
	$(BIN)/pytest -m 'not soak' $(BESIDE) $(PYTEST_ARGS)

# --strict-markers and the rest of pytest's options are in pyproject.toml. Each nested host wants a core.
soak: setup
	$(BIN)/pytest -m soak $(BESIDE) --timeout=3600 --ignore=tests/private_host/test_nested_kvm.py tests $(PYTEST_ARGS)
	$(BIN)/pytest -m soak --numprocesses auto --maxprocesses 2 tests/private_host/test_nested_kvm.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/launch.py
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/forty.py
	mkdir -p build
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/cost_line.py build/cost_line.png
	$(BIN)/python tests/benchmarks/imports.py
	$(BIN)/python tests/benchmarks/responsiveness.py

clean:
	rm -rf .venv build dist reports .pytest_cache .mypy_cache .ruff_cache .hypothesis fame_lab/guest/bin fame_lab/traffic/bin
	find fame_lab tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs -r rm -rf
	@echo 'The guest image stays in your cache: its path is in `fame-lab doctor`.'
