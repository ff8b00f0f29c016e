# Thin: each target sets the environment up when it is missing or stale, then calls one command.
#   make book    the whole study on phantoms, and the book in _build/html/index.html
#   make pdf     the same book in one PDF, _build/NAME/book.pdf (needs Chromium)
#   make check   lint and the tests that train nothing (two minutes)
#   make test    lint and all tests
#   make lab     JupyterLab with the notebooks
#   make bench   the benchmarks
#   make lock    requirements.lock anew from pyproject.toml (needs uv)

PYTHON  ?= python3
PROFILE ?= profiles/quick.yml
UV      ?= $(shell command -v uv)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: book pdf check test lab bench lock clean
.DEFAULT_GOAL := book

book: .venv/ready
	cxr study --profile $(PROFILE)

pdf: book
	cxr pdf --profile $(PROFILE)

# Two workers, a file of tests each: tests of one file may share what they made, and files begin in
# the order of tests/conftest.py. TensorFlow would otherwise start as many threads as there are
# cores in each of them.
check: TESTS = -m "not slow"
check test: .venv/ready
	ruff check . && ruff format --check .
	TF_NUM_INTRAOP_THREADS=1 python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

lab: .venv/ready
	jupyter lab notebooks

bench: .venv/ready
	python -m benchmarks

# uv installs in seconds what takes pip minutes; `make UV=` takes pip all the same. Told to, uv
# compiles the packages as pip does: else every start compiles TensorFlow anew (10 s for 4) where
# PYTHONDONTWRITEBYTECODE is set, as it is in many containers.
# "ready" is written last: an install that was cut starts again from nothing.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --clear .venv \
	  || { echo "Python's venv is needed (Debian: apt install python3-venv)"; exit 1; }
	UV_COMPILE_BYTECODE=1 VIRTUAL_ENV=$(CURDIR)/.venv \
	  $(or $(UV),python -m) pip install --quiet --require-hashes --requirement requirements.lock
	pip install --quiet --no-deps --no-build-isolation --editable .
	mkdir -p .venv/etc/jupyter
	ln -s ../../../notebooks/jupyter_lab_config.json .venv/etc/jupyter
	touch $@

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --extra test --quiet pyproject.toml --output-file requirements.lock

clean:
	rm -rf _build book/api book/experiments book/index.ipynb
