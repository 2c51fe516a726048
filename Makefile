# make report   environment, every workflow on the shipped data, the gallery reports/index.html
# make test     environment, all tests but those that have a command of their own
# make env      the environment .venv alone (WARM=1: with all that its first runs would compile)
# make test-slow      what another test guards at a smaller size
# make test-reports   every workflow at its full length, whose report must be believed
# make test-bench     every benchmark at toy size
# make test-browser   the pages of reports/ in Chromium, where it is installed
# make test-wheel     the wheel, installed in a fresh environment and used from another folder
# make docs     the documentation as pages, site/index.html, without the network
# make test-docs      its notebooks, code blocks, links and pages
# make test-floor     a part of the tests with the oldest versions allowed (test-latest: the newest)
# make test-arviz     every call of ArviZ that the design names, on all files of reports/
# make torture  kills, crashes, hostile files and large matrices, under 20 minutes
# make lint    the rules and the formatter (make style) and the types (make types)
# make calibrate | trials | bench | clean
#
# OPTIONS goes to the scripts or to pytest, as in `make report OPTIONS=--quick`.

VENV := .venv
PYTHON := $(VENV)/bin/python
COMPLETE := $(VENV)/.complete
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
WORKFLOWS := $(filter-out workflows/calibrate.py workflows/compare.py workflows/trials.py,$(sort $(wildcard workflows/[a-z]*.py)))
NAMES := python3 python3.13 python3.12 python3.14

# Each of these names is tried wherever PATH and pyenv keep it, and passed over if it does not run (a
# shim without its version), is too old, or cannot make environments.
FIND := IFS=:; for name in $(NAMES); do \
	for folder in $$PATH $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin; do \
		"$$folder/$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' \
			2>/dev/null && echo "$$folder/$$name" && exit; \
	done; done

# Runs each script in turn, prints how long each took, and keeps the worst exit status: 3 says that
# results are there but a check failed, anything else that they are not.
define run
	@status=0; times=; for script in $(1); do \
		echo "== $$script $(OPTIONS)"; start=$$(date +%s); code=0; \
		$(PYTHON) $$script $(OPTIONS) || code=$$?; \
		times="$$times$$(printf '%6d s  exit status %d  %s' $$(($$(date +%s) - start)) $$code $$script)\n"; \
		case $$code in 0) ;; 3) [ $$status -ne 0 ] || status=3 ;; *) status=$$code ;; esac; \
	done; $(2) printf "$$times"; exit $$status
endef

# The same, two scripts at a time, each told when it has ended: much of one takes a single core, such
# as its figures and imports. OPTIONS reaches the scripts as the user quoted it.
define run_two
	@rm -rf build/runs && mkdir -p build/runs; \
	printf '%s\n' $(1) | xargs -n 1 -P 2 sh -c 'log=build/runs/$$(basename $$1 .py); start=$$(date +%s); code=0; \
		eval "$(PYTHON) \"\$$1\" $$OPTIONS" > $$log.out 2>&1 || code=$$?; \
		printf "%6d s  exit status %d  %s\n" $$(($$(date +%s) - start)) $$code $$1 > $$log.end; \
		echo "== $$1 $$OPTIONS"; cat $$log.out' script; \
	status=0; for end in build/runs/*.end; do code=$$(sed 's/.*status \([0-9]*\) .*/\1/' $$end); \
		case $$code in 0) ;; 3) [ $$status -ne 0 ] || status=3 ;; *) status=$$code ;; esac; \
	done; $(2) cat build/runs/*.end; exit $$status
endef

export OPTIONS
.PHONY: help env report test test-slow test-reports test-bench test-browser test-wheel docs test-docs test-arviz test-floor test-latest torture calibrate trials bench lint style types clean

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

env: $(COMPLETE)

# An environment without its stamp is half made, and one older than its recipe is out of date: both
# are made anew. A failure or an interrupt leaves none. Of its modules those that are imported are
# compiled when they are: a quarter of all.
$(COMPLETE): pyproject.toml constraints.txt
	$(eval BASE := $(shell $(FIND)))
	$(if $(BASE),,$(error Python 3.12 or newer, with venv and pip, is needed, and none of $(NAMES) is one: install it and run make again))
	@echo "Making $(VENV) with $(BASE)"; start=$$(date +%s); \
	trap 'rm -rf $(VENV)' EXIT; trap 'exit 1' HUP INT TERM; rm -rf $(VENV); \
	"$(BASE)" -m venv $(VENV) && $(INSTALL) --no-compile --editable ".[test]" || exit 1; \
	$(PYTHON) -m compileall -q bayesinf workflows; $(if $(WARM),$(VENV)/bin/bayesinf warm;) \
	touch $@; trap - EXIT; echo "Made $(VENV) in $$(($$(date +%s) - start)) s"

report: $(COMPLETE)
	$(call run_two,$(WORKFLOWS),\
		$(PYTHON) -c "from bayesinf.report import gallery; print('Gallery:', gallery('reports'))" || status=1;)

test: $(COMPLETE)
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile -m "not slow" $(OPTIONS)

test-slow: $(COMPLETE)
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile -m slow $(OPTIONS)

test-reports: $(COMPLETE)
	@BAYESINF_WHOLE=1 $(PYTHON) -m pytest tests/workflows $(OPTIONS)

TORTURE := tests/torture.py $(foreach name,publication ending hostile kept resumed factors reader,tests/unit/test_$(name).py)

torture: $(COMPLETE)
	@BAYESINF_MUTANTS=200 BAYESINF_CUTS=10 $(PYTHON) -m pytest --numprocesses 2 --timeout 3600 -rP $(TORTURE) $(OPTIONS)

test-bench: $(COMPLETE)
	@$(PYTHON) -m pytest tests/benchmarks $(OPTIONS)

test-browser: $(COMPLETE)
	@$(PYTHON) -c "import selenium" 2>/dev/null || $(INSTALL) --editable ".[dev]"
	@BAYESINF_REPORTS=reports $(PYTHON) -m pytest tests/unit/test_browser.py $(OPTIONS)

test-wheel: $(COMPLETE)
	@$(PYTHON) -m pytest tests/wheel.py $(OPTIONS)

# Pages read the package and the reports, of which Sphinx knows no dates: all are written anew, and
# notebooks run where they changed.
docs: $(COMPLETE)
	@$(PYTHON) -c "import furo, myst_nb" 2>/dev/null || $(INSTALL) --editable ".[docs]"
	@$(PYTHON) -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --write-all -d site/.doctrees docs site $(OPTIONS)
	@echo "Documentation: site/index.html"

test-docs: $(COMPLETE)
	@$(PYTHON) -c "import furo, myst_nb" 2>/dev/null || $(INSTALL) --editable ".[docs]"
	@$(PYTHON) -m pytest tests/docs.py $(OPTIONS)

test-arviz: $(COMPLETE)
	@$(PYTHON) tests/arviz_calls.py $(wildcard reports/*/*.nc)

# Both in environments of their own: the oldest versions that pyproject.toml allows, and the newest.
FEW := $(foreach name,surface formula predictions arviz posterior linear curve,tests/unit/test_$(name).py)
define at_versions
	@rm -rf build/$(1) && mkdir -p build && $(PYTHON) -m venv build/$(1) && $(2) && \
	build/$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(3) --editable ".[test]" && \
	build/$(1)/bin/python -m pytest --override-ini filterwarnings=default -m "not slow" $(FEW) $(OPTIONS)
endef

test-floor: $(COMPLETE)
	$(call at_versions,floor,$(PYTHON) tests/floor.py > build/floor.txt,--constraint build/floor.txt)

test-latest: $(COMPLETE)
	$(call at_versions,latest,true,--upgrade)

calibrate: $(COMPLETE)
	$(call run,workflows/calibrate.py)

trials: $(COMPLETE)
	$(call run,workflows/trials.py)

# Scripts of which something grows keep its exponents in one table, which the documentation shows.
bench: OPTIONS += --growth docs/results/growth.csv
bench: $(COMPLETE)
	$(call run,$(filter-out benchmarks/common.py,$(sort $(wildcard benchmarks/[a-z]*.py))))

lint: style types

style: $(COMPLETE)
	@$(PYTHON) -m ruff --version >/dev/null 2>&1 || $(INSTALL) ruff
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .

types: $(COMPLETE)
	@$(PYTHON) -m mypy --version >/dev/null 2>&1 || $(INSTALL) mypy
	@$(PYTHON) -m mypy

# Everything that is generated, the environment and the reports included.
clean:
	@rm -rf $(VENV) site build *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	@find reports -mindepth 1 -maxdepth 1 ! -name README.md ! -name pictures -exec rm -rf {} +
	@find bayesinf benchmarks tests workflows -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
