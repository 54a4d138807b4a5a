"""docs/python.md: its blocks run in order, as they stand there."""

import importlib.util
import re
from pathlib import Path

import pytest
from support.driven_runs import drive
from support.paths import ROOT

import raysearch
from raysearch.study import as_mapping

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
# What a block needs, if a comment before it says so, and its code.
BLOCKS = re.findall(
    r"^(?:<!-- needs (\w+) -->\n)?```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE
)


def run_page(folder: Path, stand_in: bool) -> dict[str, object]:
    """Run all blocks in a folder; what needs a missing package is left out.

    Args:
        folder: the current one.
        stand_in: whether the run is one of toy trials, in place of one that starts Ray.
    """
    names: dict[str, object] = {}
    for package, code in BLOCKS:
        if package and importlib.util.find_spec(package) is None:
            continue
        if stand_in and "raysearch.run(" in code:
            code = code.partition("run = raysearch.run(")[0]
            exec(code, names)
            drive(folder / "runs" / "grammar", as_mapping(names["study"]))
        else:
            exec(compile(code, "docs/python.md", "exec"), names)
    return names


def test_the_page_has_a_block_for_each_public_name_of_runs() -> None:
    assert len(BLOCKS) == 8 + 1
    assert {package for package, _ in BLOCKS} == {"", "mlflow", "wandb"}
    code = "".join(code for _, code in BLOCKS)
    used = set(re.findall(r"raysearch\.(\w+)", code))
    assert used <= set(raysearch.__all__)
    assert used >= {"Callback", "MLflowExporter", "WandbExporter", "open_run", "replay", "run"}


@pytest.mark.slow
def test_every_block_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    names = run_page(tmp_path, stand_in=True)
    printed = capsys.readouterr().out
    assert names["run"].state == "complete"
    assert str(names["table"]) in printed
    assert "toy/grammar confirm 6: finished 0." in printed
    assert (tmp_path / "history.svg").read_text() == names["figures"]["history"].svg
    assert names["search"].best_value == max(names["trials"].query("phase == 'search'")["score"])


def test_the_charts_and_columns_that_the_page_names_are_those_of_a_run(tmp_path: Path) -> None:
    study = as_mapping(raysearch.load("quickstart"))
    run = raysearch.open_run(drive(tmp_path / "run", study))
    listed = re.search(r"are the charts of the \[report\].*?: (.*?), as far as", PAGE)[1]
    assert set(run.figures()) <= set(re.findall(r"`([\w-]+)`", listed))
    for name, frame in (("trials", run.trials()), ("reports", run.reports())):
        row = re.search(rf"^\| `{name}\(\)` \|.*$", PAGE, flags=re.MULTILINE)[0]
        columns = {c for c in frame.columns if "." not in c}
        assert columns <= set(re.findall(r"`(\w+)`", row)), name
