PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
# Python compiles what it imports, a small part of all that is installed.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# It would have to keep that: every process that a test starts imports thousands of files.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-small test-full-size test-torch lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[all]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@

demo: install
	$(BIN)/ranet demo --out demo-out

# Networks at their full size, compiled as users compile them: computing takes most of the time.
FULL_SIZE := tests/models/test_parity.py $(addprefix tests/inference/, \
	test_video_parity.py test_default_network.py test_correction_of_bear.py)
# All other tests are of small networks: compiling takes most of the time.
COMPILE_SOON = XLA_FLAGS="$$($(BIN)/python tests/quick_compile.py) $(XLA_FLAGS)"

# Both beside each other. Each prints when it is done, so that their lines do not mix.
test: $(VENV)/.installed-test
	$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-small test-full-size

test-small: $(VENV)/.installed-test
	$(COMPILE_SOON) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		$(addprefix --ignore=,$(FULL_SIZE)) $(PYTEST_ARGS)

test-full-size: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(FULL_SIZE) $(PYTEST_ARGS)

# What needs PyTorch: reading .pth files, and the comparison in speed. `test` skips it.
test-torch: $(VENV)/.installed-test
	$(PIP) torch==2.13.0
	$(COMPILE_SOON) $(BIN)/python -m pytest -m torch tests/checkpoints/test_convert.py \
		tests/benchmarks/test_benchmarks.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/.installed-test
	$(PIP) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build

clean:
	rm -rf $(VENV) .cache demo-out build *.egg-info
