# Everything a person types. Each target installs what it needs first; nothing is assumed but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# For every platform, with hashes, and without the address of any index.
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-package operator-status --no-emit-package operator-status-servers \
	--python-version 3.11 --no-annotate --no-header --no-emit-index-url
# Many processes import the same files: these are compiled once, whatever the user's environment says.
export PYTHONDONTWRITEBYTECODE :=
# Most tests wait, so that more of them run at a time than there are cores; one process has those that measure time.
TESTS_AT_ONCE ?= 5
FORKS := -p tests.support.forked_tests --forks
# What only tests with servers need takes a second to import.
FAST := -m 'not server' --hypothesis-profile=fast -p no:schemathesis -p no:anyio -p no:valkey \
	--ignore=tests/api/test_any_request.py --ignore=tests/api/page --ignore=tests/api/test_behind_nginx.py \
	--ignore=tests/examples --ignore=tests/connections --ignore=tests/crash_points --ignore=tests/freshness --ignore=tests/whole_path

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast acceptance torture lint format bench lock

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(INSTALLED) ## Create .venv with everything, from the locked requirements

# By uv, for it is faster; pip knows of mirrors that only its own configuration names.
$(INSTALLED): requirements.lock pyproject.toml operator_status/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(PIP) install --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock \
		|| $(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable ./operator_status --editable .
	@touch $@

run: $(INSTALLED) ## Start everything and watch simulated jobs; Ctrl-C ends all of it
	@$(BIN)/python -m devstack run

test: $(INSTALLED) ## Run all tests against a real Kafka and a real Redis
	$(BIN)/python -m pytest $(FORKS) $(TESTS_AT_ONCE) --durations=10

test-fast: $(INSTALLED) ## Run the tests that need no server and no browser, with fewer generated examples
	$(BIN)/python -m pytest $(FORKS) 6 $(FAST) --durations=5

acceptance: $(INSTALLED) ## Hold 100,000 simulated jobs against an independent computation, and see the examples' jobs on the page
	EXAMPLES_ON_PAGE=1 $(BIN)/python -m pytest tests/examples
	WHOLE_PATH_JOBS=100000 $(BIN)/python -m pytest tests/whole_path

torture: $(INSTALLED) ## Break everything, again and again: make torture MINUTES=60 SEED=1
	CRASH_POINT_STRIDE=1 $(BIN)/python -m pytest tests/crash_points --ignore=tests/crash_points/test_commands.py
	COMMAND_POINT_STRIDE=9 COMMAND_POINT_FIRST=$$(( $(or $(SEED),0) % 9 + 1 )) $(BIN)/python -m pytest tests/crash_points/test_commands.py
	SPOOL_STRIDE=1 $(BIN)/python -m pytest tests/worker/test_spool_faults.py
	STORM_ROUNDS=50 $(BIN)/python -m pytest tests/projector/test_process_faults.py
	BROKER_ROUNDS=5 BROKER_PAUSED_SECONDS=60 BROKER_AWAY_SECONDS=300 $(BIN)/python -m pytest tests/projector/test_brokers.py
	LEAVING_CLIENTS=100000 $(BIN)/python -m pytest tests/api/test_bad_clients.py --timeout=3600
	$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),60) $(and $(SEED),--seed $(SEED))

lint: $(INSTALLED) ## Lint, check formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Measure speed beside its goals and the plain alternatives, and write docs/performance.md
	$(BIN)/python -m tests.bench

lock: $(INSTALLED) ## Resolve both lock files anew
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra projector --extra api --extra worker --constraint requirements.lock --output-file requirements-run.lock pyproject.toml
