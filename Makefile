# GAS, the Genomics Annotation Service. `make run` and `make test` do all the set-up that they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup run test check format lock bench-annotate bench-jobs bench-memory bench-vaults bench-archive fuzz deploy-check clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: var/.setup  ## virtual environment, front-end assets, reference data, settings, database

run: var/.setup  ## serve everything on http://localhost:8000 (PORT=... changes it)
	@exec $(BIN)/python manage.py run

test: var/.setup-dev  ## all tests; what a missing system program leaves out is named, with the command that installs it
	@# in their order, spread over both cores: tests that empty the tables come last
	$(BIN)/python -m pytest $(or $(PYTEST),-n 2)
	@$(if $(PYTEST),,bash .ci/test-postgres)

check: var/.setup-dev  ## ruff, mypy, import-linter, migrations, production settings, templates, lock files
	bash .ci/check

format: var/.setup-dev  ## let ruff and djade format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix . && git ls-files '*.html' | xargs $(BIN)/djade --target-version 5.2

lock: var/.setup-dev  ## make the requirements files anew from pyproject.toml
	bash .ci/lock

bench-annotate: var/.setup-dev  ## speed, memory and growth of the annotation engine, beside bcftools (QUICK=1: one round)
	$(BIN)/python -m gas.benchmarks.annotate $(if $(QUICK),--quick)

bench-jobs: var/.setup-dev  ## latency and throughput of jobs, from submission to completion
	$(BIN)/python -m gas.benchmarks.jobs

bench-memory: var/.setup-dev  ## memory of web and worker while a 500 MB file goes through
	$(BIN)/python -m gas.benchmarks.memory

bench-vaults: var/.setup-dev  ## speed and memory of the vaults, beside a plain copy
	$(BIN)/python -m gas.benchmarks.vaults

bench-archive: var/.setup-dev  ## archive and thaw of a large result, the dispatcher among 100,000 rows, an upgrade with 20 results
	$(BIN)/python -m gas.benchmarks.archive

fuzz: var/.setup-dev  ## broken and hostile files against the engine, for ten minutes (SECONDS=60 changes it)
	$(BIN)/python -m jobs.annotation.tests.fuzz --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

deploy-check:  ## all that can be said of deploy/ without deploying: systemd units, nginx, Terraform
	bash deploy/check

clean:  ## delete what the set-up made, but no data: .venv, node_modules, assets
	rm -rf .venv node_modules var/static var/assets var/.setup var/.setup-dev

# --- set-up, in steps that are done again only when what they depend on has changed -----------------------------------

.venv/.created:
	$(PYTHON) -c 'import sys; sys.exit("GAS needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.created requirements.txt requirements-setup.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@touch $@

node_modules/.installed: .venv/.installed package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

var/assets/.copied: node_modules/.installed
	mkdir -p var/assets/bootstrap var/static
	cp $(addprefix node_modules/bootstrap/dist/,css/bootstrap.min.css css/bootstrap.min.css.map js/bootstrap.bundle.min.js js/bootstrap.bundle.min.js.map) var/assets/bootstrap/
	@touch $@

var/reference/.installed: node_modules/.installed $(wildcard jobs/annotation/reference/*.py)
	$(BIN)/python -m jobs.annotation.reference install-default
	@touch $@

var/.setup: var/assets/.copied var/reference/.installed
	$(BIN)/python -m gas.env_file
	$(BIN)/python manage.py migrate --verbosity 0
	@touch $@

var/.setup-dev: var/.setup requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
