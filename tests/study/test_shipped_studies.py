"""The studies that ship: found by name from any folder, in a clone and in an installed wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT
from typer.testing import CliRunner

from raysearch import study
from raysearch.cli.commands import app
from raysearch.errors import InputError

NAMES = sorted(path.stem for path in (ROOT / "search_spaces").glob("*.yaml"))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that holds nothing, as the working folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def command(*arguments):
    done = CliRunner().invoke(app, list(map(str, arguments)))
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
def test_every_shipped_study_has_a_name_from_anywhere(elsewhere):
    assert sorted(study.shipped_studies()) == NAMES
    assert study.load("amos-glue").name == "amos-glue"
    code, out, _ = command("list", "studies")
    assert code == 0
    assert all(name in out for name in NAMES)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "quickstart"),
        ("check", "amos-glue", "--tasks", "glue/rte", "--model", "scratch"),
        ("table", "amos-glue", "--published"),
    ],
)
def test_commands_take_the_name_of_a_shipped_study(elsewhere, arguments):
    assert command(*arguments)[0] == 0


def test_a_file_comes_before_a_name_and_a_folder_does_not(elsewhere):
    (elsewhere / "amos-glue").mkdir()
    assert study.find_study("amos-glue") == study.shipped_studies()["amos-glue"]
    (elsewhere / "quickstart").write_text("tasks: [toy/grammar]\nmodel: scratch\n")
    assert study.find_study("quickstart") == Path("quickstart")
    assert study.find_study("./amos-gleu") == Path("amos-gleu")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("amos-gleu", "did you mean 'amos-glue'?"),
        ("search_spaces/amos-glue.yaml", "'amos-glue' ships with raysearch: give that name"),
        ("zzzz", "`raysearch list studies` shows them"),
        ("other/zzzz.yaml", "no such file"),
        ("a\0b", "studies` shows them"),
    ],
)
def test_an_unknown_study_comes_with_what_was_probably_meant(elsewhere, name, text):
    with pytest.raises(InputError) as caught:
        study.load(name)
    assert text in str(caught.value)


@pytest.mark.slow
def test_own_studies_stand_beside_the_shipped_ones_and_a_broken_one_hides_none(elsewhere):
    (elsewhere / "search_spaces").mkdir()
    (elsewhere / "search_spaces" / "mine.yaml").write_text("tasks: [toy/grammar]\nmodel: scratch\n")
    (elsewhere / "search_spaces" / "torn.yaml").write_text("tasks: [")
    code, out, _ = command("list", "studies")
    assert code == 0
    assert "search_spaces/mine.yaml" in out
    assert "cannot be read: `raysearch check" in out


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None, reason="setuptools builds the wheel: not here"
)
def test_an_installed_wheel_holds_the_studies_and_says_that_it_is_typed(tmp_path, elsewhere):
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("raysearch", "search_spaces"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation",
             "--no-index", "--quiet", "--wheel-dir", str(tmp_path / "out")]  # fmt: skip
    done = subprocess.run(build, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert sorted(path.stem for path in (site / "raysearch" / "search_spaces").iterdir()) == NAMES
    assert (site / "raysearch" / "py.typed").is_file()
    code = "from raysearch import cli; cli.main()"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for arguments in (["list", "studies"], ["check", "quickstart"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=elsewhere, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "quickstart" in done.stdout
