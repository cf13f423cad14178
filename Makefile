# make run     set up .venv and run the digits recipe: table and report at the end
# make test    the whole test suite          make check   ruff, mypy and the tests
# make bench   the benchmarks                make bundle  wheel and sdist in dist/
# make test-bindings   the TensorRT names we call, in NVIDIA's real bindings (downloads once)
# make test-ray   a sweep on a real local Ray cluster, one of its workers killed (installs ray)
# make test-long    twenty kills of a run, processes killed and interrupted, every damage to every artifact
# make test-families   the exact cost of 200 networks of each family
# make fuzz    2,500 damaged exports through the check (6 minutes)
# make test-arm64   INT8 files and the agent on emulated arm64 processors (downloads once)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?=
# Two at a time, each with one thread: what it takes on two cores. Files stay together for fixtures, and
# in order: by number of tests the long ones would come last, and one core would wait for the other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-arm64 test-bindings test-ray test-families test-long fuzz check lint types bench bundle clean

run: $(VENV)/ready
	$(BIN)/edgestill run pipeline/recipes/digits.toml

test: $(VENV)/ready
	$(PYTEST) $(TESTS)

test-arm64: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m arm64 tests/export/test_on_arm64.py tests/deploy/test_agent_on_arm64.py

test-ray: $(VENV)/ready
	$(BIN)/python -m pip install --quiet 'ray>=2.40'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 -m ray tests/pipeline/test_sweep_on_ray.py

test-long: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m long

test-families: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m families tests/models/test_cost.py

fuzz: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m fuzz -s tests/export/test_check_fuzz.py

test-bindings: $(VENV)/ready
	$(BIN)/python tests/deploy/agent/trt_api/dump.py
	$(BIN)/python -m pytest tests/deploy/agent/test_trt_bindings.py tests/deploy/agent/test_trt_names.py

check: lint types
	$(PYTEST) $(TESTS)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: build/typing $(VENV)/ready
	$(BIN)/mypy

bench: $(VENV)/ready
	status=0; for each in startup search latency_estimate profiler_fidelity graph_loss train_step int8 qat_step; do \
	    $(BIN)/python benchmarks/$$each.py || status=1; done; exit $$status

bundle: $(VENV)/ready
	$(BIN)/python -m build

# The one set-up for every word above: a virtual environment with the package, editable, and the
# developers' tools. It is made again when the dependencies change.
$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("edgestill needs Python 3.11 or newer, found " + sys.version.split()[0] + "; give another with: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# mypy cannot follow setuptools' finder; links give it the installed names (see CONTRIBUTING.md).
build/typing:
	mkdir -p $@/edgestill
	cd $@/edgestill && ln -sfn ../../../pipeline ../../../models ../../../export ../../../deploy .

clean:
	rm -rf build dist .venv *.egg-info
