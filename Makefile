# `make demo` and `make test` need nothing but Python 3.11 or newer: each makes .venv and installs
# what it needs there, once. `make PYTHON=python3.12 test` takes another Python.
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=

BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt
SOURCES := setup.cfg pyproject.toml constraints.txt

# One thread per worker, or the workers crowd each other out; the array API variable lets
# scikit-learn's own checks of array API inputs run; Agg draws without a screen.
TEST_ENV := OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 MPLBACKEND=Agg
WORKERS := -n 2 --dist loadfile

check_python = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "skcentrobind needs Python 3.11 or newer; '$(PYTHON)' is not. Try: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo test lint coverage docs bench-smoke test-oldest wheel-check reproduce stamps clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: .venv/installed ## bind real data and print the tables
	$(BIN)/python -m skcentrobind

test: .venv/installed ## run the tests and every docstring example
	$(TEST_ENV) $(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

lint: .venv/installed ## check the code, its format, the spelling and the types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

coverage: .venv/installed ## run the tests and report the lines of the package that they miss
	$(TEST_ENV) $(BIN)/python -m pytest $(WORKERS) --cov --cov-report=html \
		--cov-report=term-missing:skip-covered $(PYTEST_ARGS)

docs: .venv/installed-docs ## build the documentation into docs/_build/html
	MPLBACKEND=Agg $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench-smoke: .venv/installed-bench ## run every benchmark on a few rows, to see that it still runs
	@set -e; for script in $(wildcard benchmarks/bench_*.py); do \
		echo "$$script --smoke"; MPLBACKEND=Agg $(BIN)/python $$script --smoke; done

reproduce: .venv/installed-bench ## rerun the paper's experiments and write their tables and figures
	@set -e; for name in calibrate_paper bench_table3 bench_table4 bench_modalities bench_curves bench_bounds \
			bench_sensitivity plot_embeddings; do \
		OMP_NUM_THREADS=1 $(BIN)/python benchmarks/$$name.py --jobs 2; done
	$(BIN)/python benchmarks/render_tables.py

# STAMPS=FILE names a copy of Debian's package; otherwise apt-get downloads it.
stamps: .venv/installed-bench .venv/installed-models ## bind pictures, sentences and voices of Debian's stamps
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench_stamps.py --jobs 2 $(if $(STAMPS),--stamps $(STAMPS))
	$(BIN)/python benchmarks/render_tables.py

# Old releases warn about what newer ones have settled, so warnings are not errors here.
test-oldest: .venv-oldest/installed ## run the tests with the oldest supported releases
	$(TEST_ENV) .venv-oldest/bin/python -m pytest -W default $(WORKERS) $(PYTEST_ARGS)

wheel-check: ## build the wheel and run the quick demo where nothing else is installed
	@$(check_python)
	@$(PYTHON) tools/check_wheel.py $(PIP_ARGS)

clean: ## remove what was built, except the environments .venv and .venv-oldest
	rm -rf build dist *.egg-info docs/_build docs/api.rst docs/auto_examples docs/generated
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis htmlcov .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

# The stamps: a second call installs nothing unless one of the named files has changed.
.venv/installed: $(SOURCES)
	@$(check_python)
	@echo "installing into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) -e '.[test,plot]'
	@touch $@

.venv/installed-%: .venv/installed
	@echo "installing the extra '$*' into .venv"
	@$(INSTALL) -e '.[$*]'
	@touch $@

.venv-oldest/installed: setup.cfg pyproject.toml constraints-oldest.txt
	@$(check_python)
	@echo "installing into .venv-oldest (a few minutes the first time)"
	@$(PYTHON) -m venv .venv-oldest
	@.venv-oldest/bin/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) \
		-c constraints-oldest.txt -e '.[test,plot]'
	@touch $@
