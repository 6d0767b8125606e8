# All targets use the virtual environment .venv, which is created on first use.
# PYTHON: any Python >= 3.10.  TORCH: version of torch for `demo` and `test-wheel`.
PYTHON ?= python3
BIN := .venv/bin
# One thread per test process: two single-threaded processes are faster and steadier than two threads.
# Python may cache compiled modules: the tests start hundreds of processes.
TEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2
DEMO := .venv/installed-demo
DEV := .venv/installed-dev

.PHONY: help demo test test-quick test-slow test-thorough test-coverage test-wheel check format docs figures snapshots \
	bench bench-check bench-figures clean

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO) ## Install what the demo needs; export a network to every format and upscale a photograph.
	$(BIN)/python examples/demo.py

test: check ## Run linters, type checks and the tests.
	$(TEST)

test-quick: $(DEV) ## Run the fast subset for development, in under two minutes.
	$(TEST) -m quick

test-slow: $(DEV) ## Run all tests, including exports of every network at full depth.
	$(TEST) -m "slow or not slow"

test-thorough: $(DEV) ## Run 20 times as many randomized tests, with a new seed each time.
	SRBLOCKS_CASES=20 $(TEST) -m "slow or not slow" tests/properties tests/faults tests/fuzz tests/rewrites/test_networks.py

test-coverage: $(DEV) ## Report the lines that no test executes.
	$(TEST) --cov --cov-report=term tests

test-wheel: $(DEV) ## Test the built wheel in its own environment, with the given version of torch (TORCH=2.7.1).
	$(BIN)/python tests/helpers/installed.py $(if $(TORCH),--torch $(TORCH))

check: $(DEV) ## Run linters and type checks.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(DEV) ## Format the code and fix what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## Build the documentation site in site/; warnings are errors.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

figures: $(DEV) ## Redraw the figures of blocks and networks (NAMES="RCAB EDSR": only these).
	PYTHONPATH=docs $(BIN)/python -m generator $(NAMES)

snapshots: $(DEV) figures ## Record the snapshots of networks and redraw the figures, after an intended change.
	$(BIN)/python -m pytest -q tests/networks/test_snapshots.py --update-snapshots $(SNAPSHOTS)

bench: $(DEV) ## Benchmark three networks in every installed engine; results in benchmarks/results/latency-quick.*.
	$(BIN)/python benchmarks/latency.py --quick --json latency-quick.json --chart latency-quick.png

bench-check: $(DEV) ## Compare parameters, operations, memory and file sizes with benchmarks/results/figures.json.
	$(BIN)/python benchmarks/figures.py

bench-figures: $(DEV) ## Update that snapshot (NETWORKS="edsr rcan": only these).
	$(BIN)/python benchmarks/figures.py --write $(NETWORKS)

clean: ## Remove the virtual environment and generated output.
	rm -rf .venv demo-output site

$(DEMO): pyproject.toml constraints.txt .ci/install.py
	TORCH=$(TORCH) $(PYTHON) .ci/install.py demo

$(DEV): pyproject.toml constraints.txt .ci/install.py
	$(PYTHON) .ci/install.py dev
