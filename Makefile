# Everything runs in .venv, which the first target that needs it creates. PYTHON: any Python >= 3.10.
PYTHON ?= python3
BIN := .venv/bin
# One thread per test process: two processes of one thread each are quicker and steadier than two threads.
TEST := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: demo test test-quick test-slow test-thorough test-coverage test-wheel check format bench bench-check bench-baseline clean

demo: .venv/installed
	$(BIN)/python examples/demo.py

test: check
	$(TEST)

test-slow: .venv/installed
	$(TEST) -m "slow or not slow"

# Under two minutes, while one works.
test-quick: .venv/installed
	$(TEST) -m quick

# Twenty times as many properties, killed commands and damaged files, other ones each time; their numbers at the end.
test-thorough: .venv/installed
	SRBLOCKS_CASES=20 $(TEST) -m "slow or not slow" tests/properties tests/faults tests/fuzz tests/rewrites/test_networks.py

# The lines that no test runs.
test-coverage: .venv/installed
	$(TEST) --cov --cov-report=term tests

# Against the built wheel, outside the repository, in a virtual environment of its own: TORCH=2.11.0 with that torch.
test-wheel: .venv/installed
	$(BIN)/python tests/outside.py $(if $(TORCH),--torch $(TORCH))

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Three cases in every engine: a table, and benchmarks/results/latency-quick.json and .png.
bench: .venv/installed
	$(BIN)/python benchmarks/latency.py --quick --json latency-quick.json --chart latency-quick.png

# The benchmarks' figures that are the same on every machine, against the committed ones.
bench-check: .venv/installed
	$(BIN)/python benchmarks/check.py

# Makes the figures of now the committed ones. NETWORKS: of these only; TIMES=1: times too, on a quiet machine.
bench-baseline: .venv/installed
	$(BIN)/python benchmarks/check.py --write-baseline $(if $(TIMES),--times) $(NETWORKS)

clean:
	rm -rf .venv demo-output

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@
