"""The scripts that the pages show, as they stand there."""

import re
import runpy
from pathlib import Path

import pytest
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


def test_the_script_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(script, names)  # the README's own text
    assert names["best"].score > 0.9
    assert (tmp_path / "runs" / "script" / "table.md").exists()
