# `make` lists the recipes. The shell logic is in scripts/bootstrap.sh.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
STAMP := .venv/.installed
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-find-links \
	--no-emit-index-url --no-annotate pyproject.toml
.PHONY: help install system chromium demo test test-deploy test-superset compose-up compose-down image-sizes lint fmt messages docs site lock bench screenshots clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

install: $(STAMP) ## .venv, from requirements.lock
	@:

$(STAMP): requirements.lock requirements-fast.lock pyproject.toml
	@scripts/bootstrap.sh venv
	@touch $@

system: ## the servers, browser and fonts of the tests (as root, by apt; what is there is left alone)
	@scripts/bootstrap.sh system

chromium:
	@scripts/bootstrap.sh chromium

demo: install chromium ## render the demo catalog and serve its gallery (ONCE=1: render, verify, exit)
	@VITRINE_CHROMIUM="$$(scripts/bootstrap.sh find-chromium)" .venv/bin/vitrine demo $(if $(filter 1,$(ONCE)),--once)

test: install system ## every test, on real servers (ARGS="tests/unit -x" for some)
	@$(PYTHON) -m pytest $(ARGS)

test-deploy: install ## deploy/compose.yml, really run in a container engine (the machine's, or a throw-away one)
	@$(PYTHON) -m pytest tests/deploy $(ARGS)

test-superset: install ## everything about Superset, against a real one (the first time it installs it: some minutes)
	@scripts/bootstrap.sh system bench
	@scripts/superset.sh >/dev/null
	@$(PYTHON) -m pytest tests/superset $(ARGS)

lint: install ## ruff, mypy, import contracts, the documentation's links and places
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(MAKE) site

fmt: install ## format, and fix what can be fixed
	@.venv/bin/ruff check --fix --exit-zero
	@.venv/bin/ruff format

messages: install ## the Python of proto/
	@scripts/generate_messages.sh

docs: install ## the reference pages, generated from the code
	@$(PYTHON) scripts/settings_reference.py

site: install ## the documentation as a site in site/; fails for a broken link, or a page without a place in mkdocs.yml
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict

lock: install ## new requirements*.lock, from pyproject.toml
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check 'uv>=0.13.8,<0.14'
	@$(LOCK) --group dev -o requirements.lock
	@$(filter-out pyproject.toml,$(LOCK)) --group fast -o requirements-fast.lock
	@$(LOCK) --group bench -c requirements.lock -o requirements-bench.lock
	@for service in api renderer scheduler; do \
		$(LOCK) --group $$service -c requirements.lock -o deploy/requirements/$$service.lock || exit 1; done
	@$(LOCK) --group api --group renderer --group scheduler -c requirements.lock -o deploy/requirements/cli.lock

bench: install ## benchmarks against named peers, into docs/benchmarks.md
	@scripts/bootstrap.sh system bench
	@scripts/bootstrap.sh parser
	@$(PYTHON) -m bench

compose-up: ## Vitrine in containers, at http://127.0.0.1:8080 (DEMO=1: and the demo; SUPERSET=1: and a Superset)
	@deploy/secrets.sh
	@$(if $(filter 1,$(SUPERSET)),[ -e deploy/settings.env ] || cp deploy/superset/settings.env deploy/settings.env)
	@cd deploy && docker compose $(if $(filter 1,$(SUPERSET)),--profile superset) up -d --build --wait
	@$(if $(filter 1,$(DEMO)),cd deploy && docker compose --profile demo run --rm --build demo)

compose-down: ## end it; its data stay (ARGS=--volumes: they go too)
	@cd deploy && docker compose --profile '*' down $(ARGS)

image-sizes: ## of the images that compose-up built
	@docker image ls --format '{{.Repository}} {{.Size}}' | sed -n 's/^vitrine-\([a-z]* \)/\1/p' | sort

screenshots: install chromium ## the pictures of the README and the documents
	@VITRINE_CHROMIUM="$$(scripts/bootstrap.sh find-chromium)" $(PYTHON) scripts/screenshots.py

clean: ## remove .venv and what tools left behind
	rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
