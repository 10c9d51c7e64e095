PYTHON ?= python3
KILLS ?= 200
SEED ?= 1
WORKERS ?= 1
BIN := .venv/bin

# The stamp of the generator's environment holds the build of torch, which stays until another one is named.
INSTALLED := $(file <.venv/generator)
TORCH ?= $(or $(INSTALLED),auto)
# Who types TORCH=auto has another card or driver.
ifeq ($(origin TORCH) $(TORCH),command line auto)
INSTALLED :=
endif

# The bot's tests run without torch, so that another Python is tried quickly.
BOT_VENV := .venv-$(notdir $(PYTHON))

# The lock lists every package with its version and hashes, so nothing is resolved. torch is chosen for the card. pip
# brings uv, which installs in seconds what takes pip minutes. Where it cannot, pip installs: its settings may name a
# mirror, which uv does not read.
PIP := -m pip install --quiet --disable-pip-version-check --no-compile
UV := -m uv pip install --quiet --system-certs --no-deps
install = { $(1)/python $(UV) -r $(2) || $(1)/python $(PIP) --no-deps -r $(2); }

# Processes start often, so their bytecode is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

# What is typed after SAY= reaches the program as it stands: neither make nor a shell expands it.
override SAY := $(value SAY)
export SAY
export DENDRITE
export LONG

# python-olm, which encrypts, has no wheels for Python 3.13 and newer.
export CMAKE_TOOLCHAIN_FILE := $(CURDIR)/requirements/olm.cmake
# libolm asks for a CMake so old that CMake 4 refuses it.
export CMAKE_POLICY_VERSION_MINIMUM := 3.5

.PHONY: help setup run test pytest test-bot torture lint lock plugin release

help:
	@echo 'make setup    the generator, in .venv (TORCH=auto, cpu, cu126, ... chooses the build of torch)'
	@echo 'make setup CLUSTER=1    the same with Ray, to draw on several machines'
	@echo 'make run      a household on this machine: homeserver, bot, generator, and a chat in the terminal'
	@echo "make run SAY='!draw otter, cowboy hat'    the same for one message: prints the paths of picture and recipe"
	@echo 'make run DENDRITE=/path/to/dendrite    the same with a Dendrite as the homeserver; make test takes it, too'
	@echo 'make test     lint, then every test, with coverage'
	@echo 'make test LONG=1    the same, and pocket judged by all its figures: some minutes more'
	@echo 'make torture KILLS=200 SEED=1    kills all parts again and again; nothing may be lost or come twice: half an hour'
	@echo 'make torture WORKERS=4    the same with three more machines that draw'
	@echo 'make lint     ruff and mypy'
	@echo 'make test-bot PYTHON=python3.13    the tests of the bot on another Python, in an environment of its own'
	@echo 'make plugin   the plugin for maubot, in dist/; needs git and Python, no environment'
	@echo 'make release  the same with its checksum and notes, for a release page'
	@echo 'make lock     newer versions of all packages, within pyproject.toml, into requirements/'

# Python compiles a module when it is first imported, but a service may not write: all modules at once. Packages bring
# some modules for newer Pythons, which do not compile.
setup: .venv/generator $(if $(CLUSTER),.venv/cluster)
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib generator || true

# Each role adds to the one before: what draws, what `make run` starts, what tests and lints.
.venv/generator: requirements/generator.txt requirements/pascal.txt requirements/uv.txt deploy/choose_torch.py
	chosen="$$($(PYTHON) deploy/choose_torch.py '$(TORCH)')" && lock="$${chosen%% *}" torch="$${chosen#* }" && \
	$(PYTHON) -m venv --clear .venv && \
	$(BIN)/python $(PIP) -r requirements/uv.txt && \
	$(call install,$(BIN),"$$lock") && echo "$$lock" >.venv/lock && \
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile $$torch && \
	$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@echo '$(TORCH)' >$@

ifneq ($(TORCH),$(INSTALLED))
.PHONY: .venv/generator
endif

.venv/household: requirements/household.txt .venv/generator
.venv/cluster: requirements/cluster.txt .venv/generator
.venv/dev: requirements/dev.txt .venv/household
# The generator keeps the versions of its own lock. One package is there for a file of it, without what it would need.
.venv/household .venv/cluster .venv/dev:
	$(call install,$(BIN),$<)
	$(call install,$(BIN),"$$(cat .venv/lock)")
	@! $(BIN)/python -m pip check | grep -v -e '^open-clip-torch ' -e '^No broken requirements found'
	@touch $@

$(BOT_VENV)/ready: requirements/dev.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python $(PIP) -r requirements/uv.txt
	$(call install,$(@D)/bin,$<)
	@touch $@

run: .venv/household
	@$(BIN)/python -m household

test: lint pytest

# Each process takes about 2 GB. tests/conftest.py orders the tests and hands them out. A make that a test starts knows
# nothing of this one.
pytest: .venv/dev
	@MAKEFLAGS= $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov

# Python 3.12 and newer measure at nearly no cost. How much work reading a message is does not depend on the Python.
test-bot: export MEASURED := bot
test-bot: export COVERAGE_CORE := sysmon
test-bot: $(BOT_VENV)/ready
	@$(BOT_VENV)/bin/python -m pytest -n auto --dist loadfile --cov --ignore tests/bot/test_hostile_messages.py tests/bot

torture: .venv/dev
	@$(BIN)/python -m tests.torture --kills '$(KILLS)' --seed '$(SEED)' --workers '$(WORKERS)'

lint: .venv/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

plugin release:
	@$(PYTHON) -m deploy.$@

# Each lock has all that its role needs; the versions are those of the largest.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-package torch

lock: export UV_CUSTOM_COMPILE_COMMAND = make lock
lock: .venv/dev
	$(LOCK) --upgrade --group household --group dev -o requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt --group household -o requirements/household.txt
	$(LOCK) --constraint requirements/dev.txt -o requirements/generator.txt
	$(LOCK) --constraint requirements/dev.txt --extra cluster -o requirements/cluster.txt
	echo uv | $(BIN)/uv pip compile - --quiet --generate-hashes --constraint requirements/dev.txt -o requirements/uv.txt
