# Every target sets up what it needs by itself: only Python >= 3.11, make and a package index are assumed.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PYTHON3 ?= python3
IN := . .venv/bin/activate &&

.PHONY: run test faults check bench setup clean
# A machine with an NVIDIA driver gets TensorFlow with CUDA.
EXTRAS := $(if $(shell command -v nvidia-smi 2>/dev/null),--extra gpu)

run: setup  ## run experiments.yaml: real files under data/ where present, phantoms elsewhere
	$(IN) python -m benchmark run experiments.yaml

test: setup  ## the test suite
	$(IN) python -m pytest

faults: setup  ## harmed runs, real servers, a browser (a quarter of an hour)
	$(IN) python -m pytest -m faults -n 0 --timeout 900 tests/faults tests/tracking tests/report

check: setup  ## formatting, lint, types
	$(IN) ruff format --check . && ruff check . && mypy

bench: setup  ## our networks against PyTorch's on this machine, the input pipeline, the report (no test)
	$(UV) sync --locked --quiet --group peers $(EXTRAS)
	$(IN) python -m tests.bench $(BENCH)

setup: .venv/.installed  ## install the locked environment into .venv

.venv/.installed: pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet $(EXTRAS)
	@touch $@

# Where uv is absent it is installed into a folder of the project, nothing outside is touched.
.uv/bin/uv:
	$(PYTHON3) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv

clean:  ## remove the environment (results are kept)
	rm -rf .venv .uv
