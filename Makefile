# make demo: a real search on this machine, no network and no GPU. make unit: the quick tests.
# make test: all tests but those of a cluster. make test-cluster: studies over hosts of network
# namespaces, as root. make test-store: runs kept in a store, and Ray's nodes of AWS, on a server of
# S3 and EC2 on this machine. make coverage: what the quick tests run of the package. make dist: wheel
# and source distribution. make release VERSION=0.3.0: a version, its changes, a commit and a tag.
# make docs: the site.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Test workers, by default one per core; each runs torch on one thread.
JOBS   ?= auto
PYTEST := $(BIN)/pytest -n $(JOBS) --dist worksteal
QUICK  := -m "not ray and not slow and not store"
# `make test COUNT=1` counts the lines that the quick tests run; this doubles their time.
COVERAGE := $(if $(COUNT),--cov --cov-report=)
# Compiled modules are kept: without them each test worker compiles all tests, 10 s on two cores.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo docs test test-cluster test-store unit coverage coverage-report lint dist
.PHONY: release clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch -c constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@

demo: install
	rm -rf runs/quickstart
	$(BIN)/raysearch run search_spaces/quickstart.yaml
	@echo
	@echo "That was a task that raysearch generates. Its report, to open in a browser:"
	@echo "  $(CURDIR)/runs/quickstart/report.html"
	@echo "With your own files, a CSV with the columns text and label, say:"
	@echo "  source $(BIN)/activate"
	@echo "  raysearch init mine.yaml --train train.csv --text text --label label --model MODEL"
	@echo "  raysearch run mine.yaml"
	@echo "MODEL is a folder or the hub name of any encoder. docs/first_search.md goes on from here."

# The tests on a real Ray mostly wait for processes, so all else runs beside them.
test: install
	@echo "tests that start Ray run meanwhile; what they say is shown at the end"
	@$(BIN)/pytest -m "ray and not cluster and not store" > .pytest-ray.log 2>&1 & ray=$$!; \
	$(MAKE) --no-print-directory lint; lint=$$?; \
	$(PYTEST) $(QUICK) $(COVERAGE); quick=$$?; \
	$(PYTEST) -m "slow and not ray and not store"; slow=$$?; \
	wait $$ray; runs=$$?; cat .pytest-ray.log; \
	exit $$((lint | quick | slow | runs))

test-cluster: install
	$(BIN)/pytest tests/cluster

# The server needs another python-dateutil than raysearch, so it gets an environment of its own.
test-store: install .venv-moto/.installed
	$(BIN)/pytest tests/store

.venv-moto/.installed: tests/store/requirements.txt
	$(PYTHON) -m venv .venv-moto
	.venv-moto/bin/pip install --quiet --disable-pip-version-check -r tests/store/requirements.txt
	touch $@

unit: install
	$(PYTEST) $(QUICK) -x

coverage: install
	$(PYTEST) $(QUICK) --quiet --cov --cov-report=
	@$(MAKE) --no-print-directory coverage-report

# Prints the ten modules that the quick tests cover least, and the total.
coverage-report:
	@$(BIN)/coverage report --ignore-errors --sort=cover | sed -n '1,12p;$$p'

lint: install
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell && $(BIN)/python docs/site/check_pages.py && $(BIN)/mypy

# The site, in build/site/html. Its generator gets an environment of its own, so that nothing else
# needs it; npm brings the script that draws diagrams.
docs: install .venv-docs/.installed
	$(BIN)/python docs/site/build_site.py

.venv-docs/.installed: pyproject.toml constraints.txt docs/site/package-lock.json
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check -c constraints.txt zensical
	cp docs/site/package.json docs/site/package-lock.json .venv-docs
	npm ci --silent --ignore-scripts --prefix .venv-docs
	touch $@

# The wheel and the source distribution, in dist/, with their metadata checked.
dist: .venv-dist/.installed
	rm -rf dist build
	.venv-dist/bin/python -m build --no-isolation
	.venv-dist/bin/twine check --strict dist/*
	rm -rf build

.venv-dist/.installed: tools/dist-requirements.txt
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/pip install --quiet --disable-pip-version-check -r tools/dist-requirements.txt
	touch $@

# make release VERSION=0.3.0 sets the version and the changelog's heading, commits and tags.
release:
	$(PYTHON) tools/release.py "$(VERSION)"

clean:
	rm -rf $(VENV) .venv-moto .venv-docs .venv-dist runs build dist *.egg-info .coverage*
