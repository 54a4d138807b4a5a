# make demo: a real search on this machine, no network and no GPU. make test: all tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: install demo test lint clean

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
	@echo "That was a task that raysearch generates. With real data and a pretrained encoder:"
	@echo "  $(BIN)/raysearch run search_spaces/bert-glue.yaml --tasks glue/rte --data GLUE_FOLDER"
	@echo "where GLUE_FOLDER holds RTE/train.tsv, RTE/dev.tsv and so on, as GLUE publishes them."

test: install lint
	$(BIN)/pytest

lint: install
	$(BIN)/ruff check .

clean:
	rm -rf $(VENV) runs build *.egg-info
