# Everything sets itself up: a machine with Python 3.11+, make and a package index is enough.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime ## Simulate a team, run the real pipeline over it, and write a report to demo/report
	$(BIN)/prod-lens demo

dev: .venv/runtime ## Open the Dagster UI on the demo (or on PRODLENS_CONFIG) at http://localhost:3000
	@test -n "$(PRODLENS_CONFIG)" || test -d demo/.prod-lens || $(BIN)/prod-lens demo
	$(BIN)/prod-lens dev --config "$(or $(PRODLENS_CONFIG),demo/prodlens.yaml)"

test: .venv/dev ## Lint, check types and room directions, run all tests
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile

test-cluster: .venv/dev ## Run the tests with every lake on PostgreSQL and S3, instead of SQLite and a folder (takes long)
	$(BIN)/pytest --warehouse=cluster -n logical --maxprocesses 4 --dist loadfile

integration: .venv/dev .venv-phoenix/installed ## Test against real servers: Phoenix (in .venv-phoenix), PostgreSQL, S3, Redis where there is one
	PRODLENS_PHOENIX=.venv-phoenix/bin/phoenix $(BIN)/pytest -m integration

bench: .venv-bench/installed ## Measure side by side and write docs/benchmarks.md (SIZE=full: all of it)
	.venv-bench/bin/python -m bench --size $(or $(SIZE),quick)

lint: .venv/dev ## Only the linters: ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --group build pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-header --group build --group cluster -c requirements.lock pyproject.toml -o requirements-cluster.lock
	uv pip compile -q --universal --generate-hashes --no-header --group build --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile -q --universal --generate-hashes --no-header --group phoenix -o requirements-phoenix.lock
	uv pip compile -q --universal --generate-hashes --no-header --group build --group bench -c requirements.lock pyproject.toml -o requirements-bench.lock

clean: ## Remove the virtual environment, caches and the demo
	rm -rf .venv .venv-phoenix .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo dist

# The locks list every package with its hash, so pip need not resolve anything.
.venv/runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ .venv/runtime

.venv-phoenix/installed: requirements-phoenix.lock
	test -x .venv-phoenix/bin/python || $(PYTHON) -m venv .venv-phoenix
	.venv-phoenix/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-phoenix.lock
	touch $@

# ccusage is one native program of npm's; without npm the row of transcripts is left out, and said to be.
.venv-bench/installed: requirements-bench.lock pyproject.toml
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	-npm install --silent --no-save --no-package-lock --prefix .venv-bench/ccusage @ccusage/ccusage-linux-x64@20.0.24 \
		&& chmod +x .venv-bench/ccusage/node_modules/@ccusage/ccusage-linux-x64/bin/ccusage
	touch $@

.PHONY: help demo dev test test-cluster integration bench lint lock clean
