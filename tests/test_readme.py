"""The README's commands, script, study and tree are held to the truth."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

import raysearch
from raysearch.cli.commands import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


COMMANDS = [
    line.removeprefix("$ ").partition("#")[0].strip()
    for block in blocks("console")
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("raysearch ")])
def test_every_command_is_one_that_raysearch_takes(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    verbs = typer.main.get_command(app).commands
    verbs[name].make_context(name, list(arguments), resilient_parsing=False)
    for argument in arguments:
        if argument.startswith("search_spaces/"):
            assert (ROOT / argument).is_file()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_every_make_target_is_there(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_options_named_in_the_text_exist() -> None:
    verbs = typer.main.get_command(app).commands.values()
    known = {o for verb in verbs for p in verb.params for o in getattr(p, "opts", ())}
    theirs = {"--logdir"}  # TensorBoard's
    assert set(re.findall(r"(?<=[` ])--[a-z][a-z-]*", README)) <= known | theirs


def test_the_studies_in_the_readme_are_read() -> None:
    taught, plain = (raysearch.parse(yaml.safe_load(x), name="readme") for x in blocks("yaml"))
    assert taught.planned_trials("xtreme/panx") == 3
    assert plain.planned_trials("glue/rte") == 16


def test_the_tree_is_the_package() -> None:
    tree = next(block for block in blocks("") if block.startswith("raysearch/"))
    inside, outside = set(), set()
    for line in tree.splitlines()[1:]:
        names = {w for w in line.split() if re.fullmatch(r"\w+(/|\.py|\.yaml)", w)}
        (inside if line.startswith("  ") else outside).update(names)
    package = ROOT / "raysearch"
    modules = {p.name + "/" * p.is_dir() for p in package.iterdir() if not p.name.startswith("_")}
    assert {name for name in inside if (package / name).exists()} == modules
    assert all((ROOT / name).exists() for name in outside)


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).stat().st_size > 1000


def test_the_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(script, names)  # the README's own text
    assert names["best"].score > 0.9
    assert (tmp_path / "runs" / "script" / "table.md").exists()
