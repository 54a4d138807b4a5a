"""The pages are checked: the options, modules and studies that they name.

What they say to type is run by tests/docs/test_pages.py. `make lint` checks links and words.
"""

import re
from pathlib import Path

import pytest
import typer
from support.paths import ROOT
from test_layers import LAYERS

from raysearch.cli.commands import app
from raysearch.shipped_studies import shipped_studies
from raysearch.study import schema

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        README,
        ROOT / "CONTRIBUTING.md",
        ROOT / "benchmarks" / "RESULTS.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
VERBS = typer.main.get_command(app).commands
OTHERS = {
    "--install-completion",  # of raysearch itself
    "--show-completion",
    "--logdir",
    "--kind",
    "--count",
    "--seed",
    "--first",
    "--signal",
    "--no-restart",
}  # options of TensorBoard, of the fuzzers, of SLURM and of Ray
PARTS = {
    "": schema.Study,
    "search": schema.Search,
    "confirm": schema.Confirm,
    "published": schema.Published,
}


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def command_lines(text: str) -> list[str]:
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


NEW_FILES = re.findall(
    r"`(raysearch/[\w/]+\.py)`:\n\n```python\n(.*?)```", PAGES["CONTRIBUTING.md"], flags=re.DOTALL
)


def test_the_pages_have_commands_of_every_kind() -> None:
    commands = [line for text in PAGES.values() for line in command_lines(text)]
    verbs = {line.split()[1] for line in commands if line.startswith("raysearch ")}
    assert verbs | {"list"} == set(VERBS)


# The guides name the options of the programs that their readers come from.
@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/from/")])
def test_options_named_in_the_text_exist(page: str) -> None:
    known = {o for verb in VERBS.values() for p in verb.params for o in getattr(p, "opts", ())}
    prose = re.sub(r"^\$ (?!raysearch ).*$", "", PAGES[page], flags=re.MULTILINE)
    prose = re.sub(r"`python [^`]*`|^ *python .*$", "", prose, flags=re.MULTILINE)
    assert set(re.findall(r"(?<=[` ])--[a-z][a-z-]*", prose)) <= known | OTHERS


def test_the_reference_has_every_field_of_a_study() -> None:
    page = PAGES["docs/studies.md"]
    for section, part in PARTS.items():
        rows = re.search(rf"^###? {section or 'Fields'}$(.*?)^##", page, re.DOTALL | re.MULTILINE)
        fields = set(re.findall(r"^\| `(\w+)` \|", rows[1], flags=re.MULTILINE))
        assert fields == set(part.model_fields)


def test_the_readme_names_every_shipped_study_of_a_published_system() -> None:
    named = set(re.findall(r"`([a-z0-9-]+)`", PAGES["README.md"]))
    families = "bert|roberta|electra|albert|deberta|minilm|miniatures"
    glue = {name for name in shipped_studies() if re.fullmatch(rf"({families})-glue", name)}
    large = {"stabletune-transfer-large", "stabletune-translate-large"}
    assert set(shipped_studies()) - glue - large <= named
    assert f"one of the {len(shipped_studies())} studies" in PAGES["README.md"]


def test_the_architecture_names_every_package_and_only_modules_that_exist() -> None:
    page = PAGES["docs/architecture.md"]
    rows = re.findall(r"^\| (`[a-z_`, ]*`) \|", page, flags=re.MULTILINE)
    packages = {name for row in rows for name in re.findall(r"\w+", row)}
    assert packages == {name for layer in LAYERS for name in layer}
    drawn = re.findall(r'^ +l\d+\["<b>\d+</b>&nbsp; (.*)"\]$', page, flags=re.MULTILINE)
    assert [tuple(line.split(" · ")) for line in drawn] == list(LAYERS)
    tree = next(block for block in blocks(page, "") if block.startswith("raysearch/"))
    assert all((ROOT / line.split()[0]).exists() for line in tree.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_modules_named_in_the_text_exist(page: str) -> None:
    new = {"search_spaces/my-rte.yaml", *(path for path, _ in NEW_FILES)}
    named = re.findall(r"`((?:\w+/)+[\w-]+\.(?:py|yaml))`", PAGES[page])
    for name in set(named) - new:
        assert (ROOT / name).exists() or (ROOT / "raysearch" / name).exists(), name


def test_the_diffs_in_contributing_fit_the_files() -> None:
    diffs = blocks(PAGES["CONTRIBUTING.md"], "diff")
    parts = [part for diff in diffs for part in diff.split("--- a/")[1:]]
    assert len(parts) >= 10
    for part in parts:
        path, _, body = part.partition("\n")
        before = [line[1:] for line in body.splitlines() if line[:1] in (" ", "-")]
        assert "\n".join(before) in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize(("path", "code"), NEW_FILES)
def test_the_new_files_in_contributing_compile_and_use_names_that_exist(
    path: str, code: str
) -> None:
    package = "raysearch." + ".".join(Path(path).parts[1:-1])
    names: dict[str, object] = {"__package__": package, "__name__": f"{package}.new"}
    exec(compile(code, path, "exec"), names)
    assert names.keys() & {"TASKS", "read", "RECIPE", "Stars"}


def test_the_readme_has_one_diagram() -> None:
    assert len(blocks(PAGES["README.md"], "mermaid")) == 1
