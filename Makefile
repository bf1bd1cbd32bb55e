# Everything a developer, CI or a newcomer runs. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Triton's python backend is built for Python 3.11, so one version serves all environments.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV := .venv-tools/bin/uv
export UV_PYTHON_DOWNLOADS := never

# An environment is complete when the stamp of its lock is there, so a second `make setup` does nothing and a changed
# lock (whatever the files' times, e.g. after a branch switch) brings the environment up to date.
key = $(firstword $(shell cat $(1) | sha256sum | cut -c1-16))
TOOLS := .venv-tools/.installed-$(call key,requirements/uv.txt)
PIPELINE := .venv/.installed-$(call key,requirements/pipeline.txt pyproject.toml)
TRITON := .venv-triton/.installed-$(call key,requirements/triton.txt)
TRAINING := .venv-training/.installed-$(call key,requirements/training.txt pyproject.toml)
BENCH := .venv-bench/.installed-$(call key,requirements/bench.txt pyproject.toml)

# $(call environment,FOLDER,LOCK): the environment holds exactly what the lock names, checked by hash.
define environment
	echo "$(1): installing $(2)"
	$(1)/bin/python -c '' 2>/dev/null || $(UV) venv --quiet --clear --python "$(PYTHON)" $(1)
	rm -f $(1)/.installed-*
	$(UV) pip sync --quiet --compile-bytecode --python $(1)/bin/python --require-hashes $(2)
endef
# $(call this-package,FOLDER): `screening` and `infra` of this checkout, editable.
this-package = $(UV) pip install --quiet --python $(1)/bin/python --no-deps --build-constraints requirements/build.txt --editable .
# A command would compile 120 modules each time that it starts, where Python is told to keep no byte code (as in images).
compile = $(1)/bin/python -m compileall -q screening infra dags plugins

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(PIPELINE) $(TRITON) ## environments of the nightly run (.venv) and of Triton (.venv-triton)
	@$(call compile,.venv)

.PHONY: setup-training
setup-training: $(TRAINING) ## environment with torch (.venv-training)

.PHONY: setup-bench
setup-bench: $(BENCH) ## environment of the comparisons (.venv-bench)

.PHONY: browsers
browsers:
	@infra/local/apt_install.sh chromium

.PHONY: up
up: setup ## start Ceph, Triton, PostgreSQL and Airflow; print their addresses
	@.venv/bin/python -m infra.local up

.PHONY: down
down: ## stop what `make up` started; the data stays
	@if [ -x .venv/bin/python ]; then .venv/bin/python -m infra.local down; fi

.PHONY: demo
demo: setup ## a whole night on this machine (PHOTOS=DIR: your own photos)
	@.venv/bin/python -m infra.local.demo $(if $(PHOTOS),--photos "$(PHOTOS)")

.PHONY: demo-loop
demo-loop: setup setup-training browsers ## from a night to a retrained release and back (DATA=DIR: a labelled data set)
	@.venv/bin/python -m infra.local.demo_loop $(if $(DATA),--data "$(DATA)")

.PHONY: check
check: setup ## ruff and mypy
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy --exclude '(^|/)training(/|_speed)' screening infra tests dags plugins
	@if [ -e $(TRAINING) ]; then \
	  .venv-training/bin/mypy screening/training $(wildcard tests/training) tests/benchmarks/training_speed.py; \
	else \
	  echo "screening/training: types not checked, which takes torch: make setup-training"; \
	fi

# Each folder and each test file of tests/integration: a process of its own, with the parts that it needs.
INTEGRATION := $(wildcard tests/integration/test_*.py) $(filter-out %.py %/__pycache__,$(wildcard tests/integration/*))

# All at once, since the integration tests mostly wait; each tells what it found when it ends. Two apt-get at once would
# not do, so what the parts need is installed before.
.PHONY: test
test: setup setup-training browsers ## everything CI runs: check, and the tests in both environments
	@.venv/bin/python -m infra.local install
	@$(MAKE) --no-print-directory --jobs --output-sync --keep-going $(INTEGRATION) test-training test-aside

.PHONY: $(INTEGRATION)
$(INTEGRATION): setup
	@.venv/bin/pytest $@ $(PYTEST_ARGS)

# What computes and is over soon goes behind the tests with time limits and the longest ones.
.PHONY: test-aside
test-aside:
	@nice -n 5 $(MAKE) --no-print-directory check test-unit

.PHONY: test-unit
test-unit: setup ## the tests of the nightly run that need no service
	@.venv/bin/pytest tests/unit $(PYTEST_ARGS)

.PHONY: test-training
test-training: setup-training ## the tests of training alone
	@.venv-training/bin/pytest tests/training $(PYTEST_ARGS)

.PHONY: bench
bench: setup setup-bench ## the figures of docs/benchmarks.md
	@.venv/bin/python -m tests.benchmarks $(BENCH_ARGS)

.PHONY: bench-quality
bench-quality: setup ## how well the quality filters work on real photos (BENCH_ARGS="--photos 20": a quick look)
	@.venv/bin/python -m tests.benchmarks.quality $(BENCH_ARGS)

.PHONY: lock
lock: $(TOOLS) ## resolve the dependencies anew and write requirements/*.txt
	@requirements/lock.sh $(UV)

$(TOOLS): requirements/uv.txt
	@"$(PYTHON)" -c 'import sys; v = "%d.%d" % sys.version_info[:2]; v == "3.11" or sys.exit(f"Python 3.11 expected, {sys.executable} is {v}: make PYTHON=…")'
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || infra/local/apt_install.sh python3.11-venv
	@"$(PYTHON)" -m venv --clear .venv-tools
	@.venv-tools/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

$(PIPELINE): $(TOOLS)
	@$(call environment,.venv,requirements/pipeline.txt)
	@$(call this-package,.venv)
	@touch $@

$(TRITON): $(TOOLS)
	@$(call environment,.venv-triton,requirements/triton.txt)
	@touch $@

$(TRAINING): $(TOOLS)
	@$(call environment,.venv-training,requirements/training.txt)
	@$(call this-package,.venv-training)
	@touch $@

$(BENCH): $(TOOLS)
	@$(call environment,.venv-bench,requirements/bench.txt)
	@$(call this-package,.venv-bench)
	@touch $@
