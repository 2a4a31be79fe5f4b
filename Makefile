# From a bare checkout to a running service or a passing test, with Python 3.11+ and make only.
#
#   make run        start the service on http://127.0.0.1:8080   (DATA=, PORT=)
#   make test       run the tests                                (ARGS="-k name", JOBS=4, COVERAGE=1, PACKAGES=no)
#   make check      lint, format, types, layers
#   make coverage   the tests once more with the coverage gate
#   make bench      measure against curl and nginx               (ARGS=--quick)
#   make clean      remove everything that make has made, except data/
#
# PYTHON= chooses the interpreter. Everything is installed into .venv; stamp files in it make
# a second call instant.

.POSIX:
.SUFFIXES:
.PHONY: help run test check coverage coverage-gate bench clean packages

PYTHON ?= python3
DATA ?= data
PORT ?= 8080
ARGS ?=
# Files of tests that run at the same time: they mostly wait for servers.
JOBS ?= 4
COVERAGE ?=
PACKAGES ?= yes

BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check

help:
	@sed -n '3,12s/^# \{0,1\}//p' Makefile

run: .venv/.stamp-server
	$(BIN)/wharfinger serve --data "$(DATA)" --port "$(PORT)"

test: .venv/.stamp-test packages
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $${COVERAGE:+--cov --cov-report=} $(ARGS)

check: .venv/.stamp-test .venv/.stamp-check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

# The pure core in every branch, the rest at nine tenths; both are floors, not goals.
coverage:
	$(MAKE) test COVERAGE=1
	$(MAKE) coverage-gate

coverage-gate: .venv/.stamp-test
	$(BIN)/coverage report --fail-under=100 \
	  --include='src/wharfinger/inspection/*,src/wharfinger/protocol/*'
	$(BIN)/coverage report --fail-under=90

bench: .venv/.stamp-test packages
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf .venv build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets above stand on ---------------------------------------------------------

# Debian splits ensurepip from Python; without it `python3 -m venv` leaves half a folder behind.
.venv/.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "wharfinger needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  .ci/debian-packages "a virtual environment" \
	    "$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'):"
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

# Editable, so that a pulled change runs without another install. Compiled, as pip does it with a
# package that is not editable: else each start waits for it where Python may not write.
.venv/.stamp-server: .venv/.stamp pyproject.toml
	$(PIP) install --quiet --editable '.[server]'
	@$(BIN)/python -m compileall -q src
	@touch $@

.venv/.stamp-test: .venv/.stamp pyproject.toml
	$(PIP) install --quiet --editable '.[all]' --group test
	@$(BIN)/python -m compileall -q src
	@touch $@ .venv/.stamp-server

.venv/.stamp-check: .venv/.stamp pyproject.toml
	$(PIP) install --quiet --group check
	@touch $@

# The peers that tests and benchmarks compare with. A test whose peer is missing is skipped with
# its reason; with CI set it fails.
packages:
	@test "$(PACKAGES)" = no || .ci/debian-packages "comparing with real peers" \
	  nginx-light:nginx curl:curl strace:strace nodejs:node npm:npm tinyproxy-bin:tinyproxy \
	  wrk:wrk redis-server:redis-server caddy:caddy chromium:chromium clamav-daemon:clamd file:file || \
	  echo "Going on: the tests that need what is missing will be skipped." >&2
