# Two commands matter: `make demo` and `make test`. Both set up `.venv` first, once.
PYTHON ?= python3
BIN := .venv/bin
HOME_DEMO := data/demo

.PHONY: demo test check bench new-source clean help

help:
	@echo "make demo   set up, then one week on the embedded sample archive, into $(HOME_DEMO)"
	@echo "make test   set up, then every test, offline"
	@echo "make check  ruff, mypy --strict, import-linter"
	@echo "make bench  start-up times, what encoding, matching and a crawl cost, how languages meet, and what a week costs on the real records where they are kept"
	@echo "make new-source NAME=... HOST=... LEVEL=...   a spider, sample pages and a failing expectation to begin from"
	@echo "make clean  remove .venv and data/"

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "fundmatch needs Python 3.11 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 2; }
	@echo "Setting up .venv: a minute or more and some 700 MB of downloads, once."
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
	@$(BIN)/lint-imports

bench: .venv/.installed
	@test -e $(HOME_DEMO)/warehouse.duckdb || $(MAKE) --no-print-directory demo > /dev/null
	@$(BIN)/python tests/benchmarks/startup.py $(HOME_DEMO)
	@$(BIN)/python tests/benchmarks/encode.py 2> /dev/null
	@$(BIN)/python tests/benchmarks/match.py
	@$(BIN)/python tests/benchmarks/languages.py
	@$(BIN)/python tests/benchmarks/crawl.py
	@$(BIN)/python tests/benchmarks/week.py

new-source: .venv/.installed
	@$(BIN)/python -m crawlers.scaffold "$(NAME)" "$(HOST)" "$(LEVEL)"

clean:
	rm -rf .venv data
