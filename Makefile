# Two commands matter: `make demo` and `make test`. Both set up `.venv` first, once.
PYTHON ?= python3
BIN := .venv/bin
HOME_DEMO := data/demo

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
LOCKED := --require-hashes --only-binary :all: -r
WITHOUT_LAB := sed '/^. JupyterLab/,$$d' requirements.lock
ONLY = awk '/^[^ ]/ {keep = /^$(1)==/} keep' requirements.lock

.PHONY: setup demo test check audit lock programs notebooks campaigns bench bench-large bench-growth new-source clean help

help:
	@echo "make setup  .venv with all that is needed, each file by its hash"
	@echo "make demo   set up, then one week on the embedded sample archive, into $(HOME_DEMO)"
	@echo "make test   set up, then every test, offline"
	@echo "make check  ruff, mypy --strict, import-linter"
	@echo "make audit  is what is installed what the lock says, and is a vulnerability known of it"
	@echo "make lock   write requirements.lock anew, with the pins that it has; UPGRADE=1 takes the newest versions"
	@echo "make notebooks   set up JupyterLab, then open the notebooks on $(HOME_DEMO)"
	@echo "make programs    install Chromium and LibreOffice (Debian, as root), which a few tests use where they are"
	@echo "make campaigns   the slow trials: runs, builds and senders killed at random, readers beside publishing, faults"
	@echo "make bench-large a million matches beside plain DuckDB, some ten minutes"
	@echo "make bench-growth how a week's cost grows, what Dask workers are worth, what orchestration costs; some fifteen minutes"
	@echo "make bench  start-up times, what encoding, matching, partners, a crawl and a mail cost, how languages meet, and what a week costs on the real records where they are kept"
	@echo "make new-source NAME=... HOST=... LEVEL=...   a spider, sample pages and a failing expectation to begin from"
	@echo "make clean  remove .venv and data/"

# Torch comes first: pip itself knows which build is wanted, but told of hashes it takes the index's, with CUDA.
.venv/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' \
	  || { echo "fundmatch needs Python 3.11.5 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 2; }
	@echo "Setting up .venv: a minute or more and some 850 MB of downloads, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(call ONLY,torch) > .venv/torch.lock
	@$(BIN)/python -m pip download -qq --disable-pip-version-check --no-deps --only-binary :all: -d .venv/torch \
	  "$$(grep -o '^torch==[^ ]*' .venv/torch.lock)"
	@$(PIP) --no-index --find-links .venv/torch $(LOCKED) .venv/torch.lock \
	  || { echo "If this build of torch is one to trust, take its hash into the lock: make lock" >&2; exit 2; }
	@$(WITHOUT_LAB) > .venv/requirements.lock
	@$(PIP) $(LOCKED) .venv/requirements.lock
	@$(PIP) --no-build-isolation -e .
	@{ $(BIN)/python -m pip check && $(BIN)/python -c 'import torch'; } > .venv/check 2>&1 \
	  || { tail -n 5 .venv/check >&2; echo "What was installed does not work together. Where torch or CUDA is named," \
	  "pip took torch's CUDA build: README.md says how to get the CPU build; then 'rm -r .venv'." >&2; exit 2; }
	@rm -r .venv/torch
	@touch $@

setup: .venv/.installed

demo: .venv/.installed
	@$(BIN)/fundmatch --home $(HOME_DEMO) profiles import profiles/*.yml
	@$(BIN)/fundmatch --home $(HOME_DEMO) run --replay crawlers/samples \
	  || { status=$$?; test $$status -eq 1 && echo "(status 1: done, with the faults listed above)"; }

test: .venv/.installed
	@$(BIN)/python -m pytest

check: .venv/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy notebooks/look.py
	@$(BIN)/lint-imports

audit: .venv/.installed
	@$(BIN)/python tests/audit.py

lock:
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(call ONLY,uv) > .venv/uv.lock
	@$(PIP) $(LOCKED) .venv/uv.lock
	@$(BIN)/python tests/lock.py $(if $(UPGRADE),--upgrade)

programs:
	@command -v chromium > /dev/null && command -v soffice > /dev/null || { apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium libreoffice-calc > /dev/null; }

notebooks: .venv/.installed
	@test -x $(BIN)/jupyter-lab || $(PIP) $(LOCKED) requirements.lock
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo
	@FUNDMATCH_HOME=$(abspath $(HOME_DEMO)) $(BIN)/jupyter-lab --notebook-dir notebooks

campaigns: .venv/.installed
	@$(BIN)/python -m pytest -m campaign -s

bench-large: .venv/.installed
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo > /dev/null
	@$(BIN)/python tests/benchmarks/large.py $(HOME_DEMO)

bench-growth: .venv/.installed
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo > /dev/null
	@$(BIN)/python tests/benchmarks/orchestration.py
	@$(BIN)/python tests/benchmarks/growth.py $(HOME_DEMO)

bench: .venv/.installed
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo > /dev/null
	@$(BIN)/python tests/benchmarks/startup.py $(HOME_DEMO)
	@$(BIN)/python tests/benchmarks/encode.py 2> /dev/null
	@$(BIN)/python tests/benchmarks/match.py
	@$(BIN)/python tests/benchmarks/partners.py
	@$(BIN)/python tests/benchmarks/languages.py
	@$(BIN)/python tests/benchmarks/crawl.py
	@$(BIN)/python tests/benchmarks/mail.py $(HOME_DEMO)
	@$(BIN)/python tests/benchmarks/week.py

new-source: .venv/.installed
	@$(BIN)/python -m crawlers.scaffold "$(NAME)" "$(HOST)" "$(LEVEL)"

clean:
	rm -rf .venv data
