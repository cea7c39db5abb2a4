# Everything one does with this repository. `make help` lists it; each target sets up what it needs.
#
# Options:  PYTHON=/path/to/python  the interpreter for .venv instead of the newest suitable one
#           RULES=file.yaml         the rules that `make serve` serves
#           ARGS="…"                passed on: to the server, to pytest, to a benchmark

.DEFAULT_GOAL := help
.PHONY: help serve test test-long test-litellm check fix docs bench native serve-native test-native lock wheel clean

RULES ?= rules.example.yaml
UV ?= uv
VENV := .venv/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

serve: ## run the gateway on 127.0.0.1:4000 with rules.example.yaml
	@PYTHON='$(PYTHON)' sh scripts/setup.sh runtime
	@exec $(VENV) server.py $(RULES) $(ARGS)

test: ## run the whole test suite
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev
	$(VENV) -m pytest -n auto --maxprocesses 4 $(ARGS)

test-long: ## run it with far more random cases; takes hours
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev
	POINTSMAN_LONG=1 $(VENV) -m pytest -n auto --maxprocesses 4 $(ARGS)

test-litellm: ## run the callbacks' tests again with the real litellm package; installs 750 MB into .venv-litellm
	@PYTHON='$(PYTHON)' sh scripts/setup.sh litellm
	.venv-litellm/bin/python -m pytest -W default tests/test_litellm_*.py $(ARGS)

check: ## lint, check the formatting and the types
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev
	$(VENV) -m ruff check
	$(VENV) -m ruff format --check
	$(VENV) -m mypy

fix: ## repair what can be repaired: lint and formatting
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev
	$(VENV) -m ruff check --fix
	$(VENV) -m ruff format

docs: ## write the generated files again: the schema and the reference page
	@PYTHON='$(PYTHON)' sh scripts/setup.sh runtime
	$(VENV) -m engine.tools.cli schema --write
	$(VENV) -m engine.tools.cli reference --write

# What benchmarks are made of; each of the other files is one.
BENCH_PARTS := $(patsubst %,bench/%.py,bare canned figures load peers processes)

bench: ## run the benchmarks of bench/, one after the other
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev
	@set -e; for file in $(filter-out $(BENCH_PARTS),$(sort $(wildcard bench/*.py))); do \
	  echo "== $$file"; $(VENV) "$$file" $(ARGS); done

# The same sources as machine code; see docs/deploy.md. Nothing of it stands beside the sources.
NATIVE = PYTHON='$(PYTHON)' sh scripts/setup.sh $(1) && sh scripts/setup.sh native && .venv-native/bin/python scripts/native.py

native: ## compile the gateway into build/native; needs a C compiler, takes a minute or two
	@$(call NATIVE,runtime)

serve-native: ## run the compiled gateway, as `serve` does
	@$(call NATIVE,runtime)
	@exec $(VENV) build/native/server.py $(RULES) $(ARGS)

test-native: ## run the whole test suite against the compiled gateway
	@$(call NATIVE,dev) --whole
	cd build/native && ../../$(VENV) -m pytest -n auto --maxprocesses 4 $(ARGS)

wheel: ## build the distribution into dist/
	@PYTHON='$(PYTHON)' sh scripts/setup.sh runtime
	$(VENV) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# One lock after the other: the later ones take the versions of the earlier.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command 'make lock' $(ARGS)

lock: ## choose versions for the locks (needs uv; ARGS=--upgrade for the newest)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pipx install uv, or UV=/path/to/uv"; exit 1; }
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) pyproject.toml --extra uvloop -o requirements.lock
	$(LOCK) pyproject.toml --all-extras -c requirements.lock -o requirements-full.lock
	$(LOCK) pyproject.toml --all-extras --group dev -c requirements-full.lock -c requirements-build.lock -o requirements-dev.lock
	$(LOCK) --group native -c requirements-dev.lock -o requirements-native.lock
	$(LOCK) pyproject.toml --group litellm -o requirements-litellm.lock

clean: ## remove the environments and everything built
	rm -rf .venv .venv-litellm .venv-native build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
