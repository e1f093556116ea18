# Two commands matter: `make demo` and `make test`. Both set up `.venv` first, once.
PYTHON ?= python3
BIN := .venv/bin
HOME_DEMO := data/demo

.PHONY: demo test check programs notebooks campaigns bench bench-large new-source clean help

help:
	@echo "make demo   set up, then one week on the embedded sample archive, into $(HOME_DEMO)"
	@echo "make test   set up, then every test, offline"
	@echo "make check  ruff, mypy --strict, import-linter"
	@echo "make notebooks   set up JupyterLab, then open the notebooks on $(HOME_DEMO)"
	@echo "make programs    install Chromium and LibreOffice (Debian, as root), which a few tests use where they are"
	@echo "make campaigns   the slow trials: readers beside publishing, builds killed at random, a full disk"
	@echo "make bench-large a million matches beside plain DuckDB, some ten minutes"
	@echo "make bench  start-up times, what encoding, matching, partners, a crawl and a mail cost, how languages meet, and what a week costs on the real records where they are kept"
	@echo "make new-source NAME=... HOST=... LEVEL=...   a spider, sample pages and a failing expectation to begin from"
	@echo "make clean  remove .venv and data/"

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "fundmatch needs Python 3.11 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 2; }
	@echo "Setting up .venv: a minute or more and some 850 MB of downloads, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

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

programs:
	@command -v chromium > /dev/null && command -v soffice > /dev/null || { apt-get update -qq \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium libreoffice-calc > /dev/null; }

notebooks: .venv/.installed
	@test -x $(BIN)/jupyter-lab \
	  || $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[lab]'
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo
	@FUNDMATCH_HOME=$(abspath $(HOME_DEMO)) $(BIN)/jupyter-lab --notebook-dir notebooks

campaigns: .venv/.installed
	@$(BIN)/python -m pytest -m campaign -s

bench-large: .venv/.installed
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo > /dev/null
	@$(BIN)/python tests/benchmarks/large.py $(HOME_DEMO)

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
