# What people run here. `make help` lists the targets. Everything is installed into .venv, .local and the
# user's cache folder; Debian packages that are missing are the one exception (hack/install-packages).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ROUTERS ?= 3
STORE ?= sqlite
BRIDGES ?= 1
TAG ?= dev
BENCH ?=

BIN := .venv/bin
IN_VM := tests/integration/vm
VENV := .venv/.installed
HACK := PYTHONPATH=hack $(CURDIR)/$(BIN)/python -m

.PHONY: help up down demo test test-unit test-integration test-all bench benches lint format crds settings metrics-page verdicts-page image image-audit chart e2e lock clean tools controlplane helm

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: controlplane ## Show the main job in front of one's eyes: orders open and close a router
	@$(HACK) demo

up: controlplane ## Start the local relay in the background; ROUTERS=50 for more routers, STORE=redis BRIDGES=2
	@$(HACK) local up --routers $(ROUTERS) --store $(STORE) --bridges $(BRIDGES)

down: ## Stop the local relay
	@if [ -x $(BIN)/python ]; then $(HACK) local down; fi

test: lint test-unit test-integration ## All checks and tests of every change

lint: $(VENV) ## Style, types, import layers, branches and names, drift of generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(HACK) style
	@$(HACK) rights --check
	$(BIN)/python -m cerebro.resources.crd --check
	$(BIN)/python -m cerebro.cli.settings_page --check
	$(BIN)/python -m cerebro.cli.metrics_page --check
	$(BIN)/python -m cerebro.cli.verdicts_page --check
	@$(HACK) dashboard --check
	@$(HACK) helm copy --check

test-unit: $(VENV) ## Tests without I/O
	$(BIN)/pytest -n 2 --durations 5 tests/unit

# Much of their time is waiting, so four run side by side, each with a control plane of its own. Their order stays
# that of their files, as the first ones take longest.
test-integration: controlplane helm ## Tests against a real API server and simulated routers
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 10 \
		--ignore $(IN_VM) tests/integration

.PHONY: test-vm
test-vm: controlplane ## The core cases with the kernel's WireGuard, in a virtual machine; some five minutes
	$(BIN)/pytest -n 2 $(IN_VM)

test-all: lint controlplane helm ## The same tests in their long form, with larger numbers
	CEREBRO_TEST_LONG=1 $(BIN)/pytest tests/unit tests/integration

bench: controlplane ## Measure all that make benches lists; BENCH=storm measures one
	$(BIN)/pytest -s tests/bench$(if $(BENCH),/test_$(BENCH).py)

benches: ## List what make bench measures
	@PYTHONPATH=tests $(PYTHON) -m bench

format: $(VENV) ## Bring the code into form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

crds: $(VENV) ## Generate crds/ from the models, and the chart's copies of them and of deploy/base
	$(BIN)/python -m cerebro.resources.crd
	@$(HACK) helm copy

settings: $(VENV) ## Generate docs/settings.md from the settings of the processes
	$(BIN)/python -m cerebro.cli.settings_page

metrics-page: $(VENV) ## Generate docs/metrics.md from the registries of the processes
	$(BIN)/python -m cerebro.cli.metrics_page

verdicts-page: $(VENV) ## Generate docs/waiting.md from the table of verdicts
	$(BIN)/python -m cerebro.cli.verdicts_page

.PHONY: argocd
argocd: $(VENV) ## Generate Argo CD's test data and ConfigMap; see operator/cerebro/resources/verdicts.py
	@$(HACK) argocd

.PHONY: dashboard
dashboard: $(VENV) ## Generate Grafana's dashboard from hack/dashboard/panels.yaml, and the chart's copy of it
	@$(HACK) dashboard
	@$(HACK) helm copy

.PHONY: rights-page
rights-page: $(VENV) ## Generate docs/rights.md from hack/rights and deploy/base
	@$(HACK) rights

image: $(VENV) ## Build the container image with podman or docker; TAG=dev names it; its contents are listed in .local/image
	@$(HACK) image build --tag $(TAG)

chart: helm ## Check the Helm chart and pack it into .local/chart
	@$(HACK) helm package .local/chart

e2e: controlplane helm ## Install the image by kubectl and by Helm on a real node in namespaces, as root, and put it to the test
	@$(HACK) cluster --check
	@$(HACK) image build --tag dev --archive .local/image/cerebro.tar
	@PYTHONPATH=hack $(BIN)/python -m cluster --image .local/image/cerebro.tar \
		$(BIN)/pytest --durations 10 tests/e2e

.PHONY: at-rest
at-rest: controlplane ## Measure the pods' memory and processor time at rest, without Devices and with 500, as root; four minutes
	@$(HACK) image build --tag dev --archive .local/image/cerebro.tar
	@PYTHONPATH=hack:tests $(BIN)/python -m cluster --image .local/image/cerebro.tar \
		$(CURDIR)/$(BIN)/python -m e2e.at_rest

image-audit: $(VENV) ## Look for known faults of the image's Python packages
	@$(HACK) image audit

LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--no-header --quiet

lock: $(VENV) ## Compute the lock files anew from pyproject.toml: of all packages, of the image's, of what builds it
	$(LOCK) pyproject.toml --group dev --upgrade -o requirements.lock
	$(LOCK) pyproject.toml -c requirements.lock -o deploy/image/requirements.lock
	echo hatchling | $(LOCK) - --upgrade -o deploy/image/build.lock

clean: down ## Remove what was made here; the cache folder with the control plane stays
	rm -rf .venv .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

controlplane: $(VENV) # etcd, kube-apiserver and the rest, in the cache folder
	@$(HACK) controlplane install

helm: $(VENV) # Helm, in the cache folder
	@$(HACK) helm install

tools: # Debian packages
	@hack/install-packages

# One lock file for all machines, checked by hash. The stamp is the last thing that is written.
$(VENV): requirements.lock pyproject.toml | tools
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is too old, Python 3.11 or newer is needed; PYTHON=... names another" >&2; exit 1; }
	@echo "installing the Python packages of requirements.lock into .venv (about a minute) ..."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock \
		| sed -n 's/^Collecting \([^ ]*\).*/  \1/p'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $@
