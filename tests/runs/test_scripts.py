"""Scripts and pages on a real Ray, as they stand there."""

import runpy
from pathlib import Path

import pytest
from support.page_reader import PageReader
from support.pages import steps
from support.paths import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("free_cores")]


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = runpy.run_path(str(ROOT / "examples" / "search.py"), run_name="example")
    names["STUDY"]["search"] = {"trials": 1}
    names["STUDY"]["confirm"] = {"top": 1, "seeds": [11]}
    monkeypatch.chdir(tmp_path)
    names["main"]()
    printed = capsys.readouterr().out
    assert "best: {" in printed
    assert (tmp_path / "runs" / "example" / "table.md").read_text(encoding="utf-8") in printed


def test_a_page_runs_with_ray_as_the_others_do_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reader = PageReader()
    for step in steps((ROOT / "docs" / "from" / "ray_tune.md").read_text(encoding="utf-8")):
        reader.take(step)
    assert not reader.problems, "\n".join(reader.problems)
    assert sorted(path.name for path in Path("runs").iterdir()) == ["by-hand", "quickstart"]
