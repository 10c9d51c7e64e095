PYTHON ?= python3
TORCH ?= auto
KILLS ?= 200
SEED ?= 1
BIN := .venv/bin

# What is typed after SAY= reaches the program as it stands: neither make nor a shell expands it.
override SAY := $(value SAY)
export SAY
export LONG

.PHONY: help setup run test torture lint plugin

help:
	@echo 'make setup    the environment in .venv (TORCH=auto, cpu, cu126, ... chooses the build of torch)'
	@echo 'make run      a household on this machine: homeserver, bot, generator, and a chat in the terminal'
	@echo "make run SAY='!draw otter, cowboy hat'    the same for one message: prints the paths of picture and recipe"
	@echo 'make test     lint, then every test, with coverage'
	@echo 'make test LONG=1    the same, and pocket judged by all its figures: some minutes more'
	@echo 'make torture KILLS=200 SEED=1    kills all parts again and again; nothing may be lost or come twice: half an hour'
	@echo 'make lint     ruff and mypy'
	@echo 'make plugin   the plugin for maubot, in dist/'

setup: .venv/ready

.venv/ready: pyproject.toml deploy/choose_torch.py
	torch="$$($(PYTHON) deploy/choose_torch.py '$(TORCH)')" && \
	$(PYTHON) -m venv .venv && \
	$(BIN)/python -m pip install --quiet --upgrade pip && \
	$(BIN)/python -m pip install $$torch && \
	$(BIN)/python -m pip install --quiet --group household --group dev --editable .
	@touch $@

run: setup
	@$(BIN)/python -m household

# Each process has about 2 GB of its own. tests/conftest.py groups and orders the tests.
test: lint
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder --cov --cov-report=term:skip-covered

torture: setup
	@$(BIN)/python -m tests.torture --kills '$(KILLS)' --seed '$(SEED)'

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

plugin: setup
	@$(BIN)/python -m deploy.plugin
