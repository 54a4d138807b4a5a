"""docs/python.md: the names of the package, the charts and the columns that it describes."""

import re
from pathlib import Path

from support.driven_runs import drive
from support.paths import ROOT

import raysearch
from raysearch.study import as_mapping

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
# What a block needs, if a comment before it says so, and its code.
BLOCKS = re.findall(
    r"^(?:<!-- needs (\w+) -->\n)?```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE
)


def test_the_page_has_a_block_for_each_public_name_of_runs() -> None:
    assert len(BLOCKS) == 8 + 1
    assert {package for package, _ in BLOCKS} == {"", "mlflow", "wandb"}
    code = "".join(code for _, code in BLOCKS)
    used = set(re.findall(r"raysearch\.(\w+)", code))
    assert used <= set(raysearch.__all__)
    assert used >= {"Callback", "MLflowExporter", "WandbExporter", "open_run", "replay", "run"}


def test_the_charts_and_columns_that_the_page_names_are_those_of_a_run(tmp_path: Path) -> None:
    study = as_mapping(raysearch.load("quickstart"))
    run = raysearch.open_run(drive(tmp_path / "run", study))
    listed = re.search(r"are the charts of the \[report\].*?: (.*?), as far as", PAGE)[1]
    assert set(run.figures()) <= set(re.findall(r"`([\w-]+)`", listed))
    for name, frame in (("trials", run.trials()), ("reports", run.reports())):
        row = re.search(rf"^\| `{name}\(\)` \|.*$", PAGE, flags=re.MULTILINE)[0]
        columns = {c for c in frame.columns if "." not in c}
        assert columns <= set(re.findall(r"`(\w+)`", row)), name
