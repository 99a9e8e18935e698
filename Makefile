# Everything below sets itself up: all that is needed is Python 3.10 to 3.12 and make.
# `make PYTHON=/path/to/python demo` chooses the Python that .venv is made from.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
CONSTRAINTS := -c constraints.txt
OPENCV_PIN := $(shell sed -n 's/^opencv-python-headless==//p' constraints.txt)

# Test processes at a time: each computes with one thread.
TEST_WORKERS ?= 2
# `make test COVERAGE=1` also prints which lines were run, and takes a fifth longer.
COVERAGE ?=

.PHONY: help demo test test-endurance test-wheel test-matrix lint format site clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready  ## Train OCRNet on microscopy images, measure it, draw what it sees
	$(PY) demo/run.py

test: lint  ## Lint, run all tests; with COVERAGE=1 print the coverage
	$(PY) -m tests.run --workers $(TEST_WORKERS) $(if $(COVERAGE),--coverage)

test-endurance: $(VENV)/ready-for-tests  ## Kill, stop, resume and starve whole runs (up to 40 minutes)
	$(PY) -m tests.run endurance --workers $(TEST_WORKERS) --group-size 1

test-wheel: $(VENV)/ready-for-tests  ## Install the built wheel with Python 3.10 and 3.12, where they are found, and use it
	$(PY) -m tests.wheel --others

test-matrix: $(VENV)/made  ## Run all tests with each MindSpore that is supported, in environments of their own
	$(PY) -m tests.matrix --workers $(TEST_WORKERS)

lint: $(VENV)/ready-for-tests  ## Check style and who imports whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/lint-imports

format: $(VENV)/ready-for-tests  ## Write the code in the project's style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

site: $(VENV)/ready-for-tests  ## Build the pages as a site into build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

clean:  ## Remove the environment, caches and everything that runs have written
	rm -rf $(VENV) .venvs build msseg.egg-info work_dirs demo/output .pytest_cache .ruff_cache \
	    .import_linter_cache .coverage .coverage.* rank_[0-9]* kernel_meta rewritten_network
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- setting up
# A stamp is written last, so an interrupted installation is taken up again by the next make.

$(VENV)/made: Makefile
	@for candidate in $(or $(PYTHON),python3.11 python3.12 python3.10 python3 python); do \
	    if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
	        echo "Setting up $(VENV) with $$("$$candidate" --version)"; \
	        "$$candidate" -m venv $(VENV) && touch $@; exit; \
	    fi; \
	done; \
	echo "error: no $(or $(PYTHON),Python) from 3.10 to 3.12 with the venv module: name one with 'make PYTHON=/path/to/python …'" >&2; \
	exit 1

$(VENV)/ready: $(VENV)/made requirements.txt constraints.txt setup.py
	$(PIP) install -q $(CONSTRAINTS) setuptools wheel
	$(PIP) install -q $(CONSTRAINTS) --no-build-isolation -e .
	@# no libGL or glib on this machine: the same OpenCV without windows (see constraints.txt)
	@$(PY) -c 'import cv2' 2>/dev/null || \
	    $(PIP) install -q --force-reinstall --no-deps opencv-python-headless==$(OPENCV_PIN)
	@$(PY) -c 'import cv2'
	@touch $@

$(VENV)/ready-for-tests: $(VENV)/ready
	$(PIP) install -q $(CONSTRAINTS) --no-build-isolation -e '.[tests]'
	@# only its config files are read, so what it requires (torch, mmcv) stays out
	$(PIP) install -q $(CONSTRAINTS) --no-deps mmsegmentation
	@touch $@
