# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# One thread a process: two spinning OpenMP threads on a busy machine are many times slower.
export OMP_NUM_THREADS = 1
export MPLBACKEND = Agg

.PHONY: setup demo test test-all check docs bench clean test-gpu

setup: $(STAMP)

# torch first and alone, so that the constraint holds; axdnn itself is editable, its native kernels are compiled once.
$(STAMP): pyproject.toml constraints.txt $(wildcard native/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/python examples/demo.py --out runs/demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" --durations=10

test-all: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup --durations=25

# The kernels on a GPU, Triton compiled instead of interpreted; a torch with CUDA or ROCm must be installed.
test-gpu: setup
	TRITON_INTERPRET=0 $(BIN)/python -m pytest -n 0 tests/kernels/test_cuda.py tests/kernels/test_device_digits.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python tools/make_docs.py

bench: setup
	$(BIN)/python benchmarks/strategies.py

clean:
	rm -rf $(VENV) build dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
