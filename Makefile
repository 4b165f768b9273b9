# Everything a newcomer types. Works with GNU make 3.81 (macOS) and any POSIX sh; needs no root.

PYTHON ?=
UV := .venv/bin/uv
UV_QUIET = $$([ -t 2 ] || echo --quiet)
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
       --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help setup run remote test test-system fuzz lint lock data accuracy bench-heat-pump bench-lifecycle bench-little-history bench-pipeline bench-serving clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

setup: .venv/.dev ## Set up .venv with everything for development
	@echo ".venv is ready"

run: .venv/.run ## Forecast and serve: DATA=meter file (default: the one of params.yaml, first a simulated house), PORT=number
	@exec .venv/bin/wattcast run $${DATA:+--data "$$DATA"} $${PORT:+--port "$$PORT"}

remote: .venv/.remote ## Have DVC push to and pull from S3: S3_URL=s3://bucket/prefix, S3_ENDPOINT=URL of a server other than Amazon's
	@exec .venv/bin/wattcast remote "$${S3_URL:-}" $${S3_ENDPOINT:+--endpoint "$$S3_ENDPOINT"}

test: .venv/.dev ## Run the tests that need no root and no server, and print branch coverage
	@.venv/bin/pytest -m "not system" --cov --cov-report=term

test-system: .venv/.dev ## Run the tests that need Debian packages, Docker or Chromium
	@.venv/bin/pytest -m system --collect-only --quiet >/dev/null 2>&1; [ $$? -ne 5 ] || { echo "there is no system test"; exit 0; }; \
	exec .venv/bin/pytest -m system

fuzz: .venv/.dev ## Send 50,000 random requests and 20,000 damaged meter files to a server (SEED=number: an earlier run again)
	@exec .venv/bin/python tests/web/fuzzing.py $${SEED:+--seed "$$SEED"}

lint: .venv/.dev ## Check style, format and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy --strict src

lock: .venv/.base ## Compile requirements/*.txt from pyproject.toml (UPGRADE=1: take newer versions)
	@$(LOCK) pyproject.toml --all-extras --group build --output-file requirements/dev.txt
	@$(LOCK) pyproject.toml --extra train --extra pipeline --group build --constraint requirements/dev.txt --output-file requirements/run.txt
	@$(LOCK) pyproject.toml --extra train --extra pipeline --extra remote --group build --constraint requirements/dev.txt --output-file requirements/remote.txt
	@$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/serve.txt
	@$(LOCK) --group install --output-file requirements/uv.txt
	@$(LOCK) --group rivals --constraint requirements/run.txt --output-file requirements/rivals.txt

data: .venv/.run ## Download the full UCI household file into data/raw/ (20 MB)
	@exec .venv/bin/wattcast data

accuracy: .venv/.dev ## Score the published protocols of the UCI house (P=P2: one of them; DATA=folder of its files)
	@exec .venv/bin/python benchmarks/accuracy.py $${P:+"$$P"} $${DATA:+--data "$$DATA"}

bench-heat-pump: .venv/.dev ## Forecast a simulated heat pump house with and without temperature
	@exec .venv/bin/python benchmarks/heat_pump.py

bench-lifecycle: .venv/.dev ## Kill, publish to, swap under load and start model stores (SEED=number; STORE=folder: models that are there; QUICK=1)
	@exec .venv/bin/python benchmarks/lifecycle.py $${SEED:+--seed "$$SEED"} $${STORE:+--store "$$STORE"} $${QUICK:+--quick}

bench-little-history: .venv/.dev ## Forecast simulated houses never seen, with 0 to 28 days of them known
	@exec .venv/bin/python benchmarks/little_history.py

bench-pipeline: .venv/.dev ## Time the whole pipeline against the yardstick
	@exec .venv/bin/python benchmarks/pipeline.py

bench-serving: .venv/.dev ## Load the service, bare Flask, MLflow and BentoML in turn with wrk (STORE=folder: models that are there; QUICK=1)
	@exec .venv/bin/python benchmarks/serving.py $${STORE:+--store "$$STORE"} $${QUICK:+--quick}

# data/raw and store hold what no command can make again; metrics may be in git.
clean: ## Remove what the tools and the pipeline left (keeps .venv, data/raw, metrics, store and DVC's cache)
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist src/wattcast.egg-info
	@rm -rf data/processed models benchmarks/results/cache benchmarks/results/run-environment
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf .venv

# .venv/.base says that the environment is whole and belongs to this folder: a set-up in progress takes it away, so that
# an interrupted one, like a folder that was moved or a Python that is gone, starts again from nothing.
ifneq ($(shell cat .venv/.base 2>/dev/null) $(wildcard .venv/bin/python),$(CURDIR) .venv/bin/python)
.PHONY: .venv/.base
endif

.venv/.base: requirements/uv.txt
	@$(if $(filter wattcast,$(firstword $(CHOSEN))),$(error $(CHOSEN)))echo "Setting up .venv with $(CHOSEN)"
	@"$(CHOSEN)" -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@printf '%s\n' "$(CURDIR)" >$@

.venv/.base: CHOSEN = $(shell sh requirements/find-python "$(PYTHON)")

# The build constraints pin what the one dependency without a wheel (of DVC's) is built with.
.venv/.run: .venv/.base requirements/run.txt pyproject.toml
	@rm -f .venv/.base
	@$(UV) pip install $(UV_QUIET) --python .venv/bin/python --require-hashes --build-constraints requirements/run.txt --requirements requirements/run.txt
	@$(UV) pip install --quiet --python .venv/bin/python --no-build-isolation --no-deps --editable .
	@printf '%s\n' "$(CURDIR)" >.venv/.base && touch $@

.venv/.remote: .venv/.run requirements/remote.txt
	@rm -f .venv/.base
	@$(UV) pip install $(UV_QUIET) --python .venv/bin/python --require-hashes --build-constraints requirements/remote.txt --requirements requirements/remote.txt
	@printf '%s\n' "$(CURDIR)" >.venv/.base && touch .venv/.run $@

.venv/.dev: .venv/.base requirements/dev.txt pyproject.toml
	@rm -f .venv/.base
	@$(UV) pip sync $(UV_QUIET) --python .venv/bin/python --require-hashes --build-constraints requirements/dev.txt requirements/dev.txt
	@$(UV) pip install --quiet --python .venv/bin/python --no-build-isolation --no-deps --editable .
	@printf '%s\n' "$(CURDIR)" >.venv/.base && touch .venv/.run $@
