"""The pages that errors name: each is there with its heading, and each command has one."""

import ast
import re

import markdown_pages
import pytest
import typer
from support.paths import ROOT
from support.source import trees

from raysearch import error_pages
from raysearch.cli.commands import app
from raysearch.errors import InputError, Problem, RaysearchError

PAGE = re.compile(r"docs/[\w/]+\.md(?:#.+)?")


def named_pages() -> set[str]:
    """Return every page that some module names."""
    texts = (
        node.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in texts if PAGE.fullmatch(text)}


def is_there(page: str) -> bool:
    """Return whether a page has its file and its heading."""
    name, _, heading = page.partition("#")
    path = ROOT / name
    return path.is_file() and (not heading or heading in markdown_pages.anchors(path.read_text()))


def test_every_page_that_an_error_names_is_there_with_its_heading() -> None:
    pages = named_pages()
    assert "docs/studies.md#samplers" in pages  # the table is read
    assert error_pages.FAULTS in pages
    assert not [page for page in pages if not is_there(page)]


@pytest.mark.parametrize("page", ["docs/none.md", "docs/studies.md#none", "docs/gpus.md#fields"])
def test_a_page_or_heading_that_is_not_there_would_be_noticed(page: str) -> None:
    assert not is_there(page)


def test_every_command_has_a_page() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    without = [name for name in commands if error_pages.command_page(name) == "docs/index.md"]
    assert not without


@pytest.mark.parametrize(
    ("source", "location", "page"),
    [
        ("x.yaml", "space.LR", "docs/studies.md#dimensions"),
        ("x.yaml", "spaces", ""),
        ("x.yaml", "per_task.glue/rte.space.LR", "docs/studies.md#dimensions"),
        ("x.yaml", "per_task.glue/rte.from", "docs/studies.md#chained-tasks"),
        ("x.yaml", "per_task.own/a.b", "docs/studies.md#fields"),
        ("x.yaml", "own.notes.dev.de", "docs/own_data.md#fields"),
        ("x.yaml", "own/notes train.csv line 3", "docs/own_data.md#files"),
        ("x.yaml", "glue/rte dev", "docs/formats.md#data"),
        ("x.yaml", "search.hold_out", "docs/results.md#held-out-examples"),
        ("x.yaml", "--set BSZ", "docs/studies.md#changes-on-the-command-line"),
        ("pack", "model", "docs/results.md#what-a-pack-holds"),
    ],
)
def test_the_place_of_a_problem_tells_its_page(source: str, location: str, page: str) -> None:
    assert error_pages.page_of(source, location) == page


def test_an_error_names_each_page_once_and_the_heading_where_it_is_one() -> None:
    problems = [Problem(location=place, text="wrong") for place in ("space.LR", "space.BSZ", "?")]
    *_, last = str(InputError("x.yaml", problems)).splitlines()
    assert last == "explained in docs/studies.md#dimensions"
    problems += [Problem(location=place, text="wrong") for place in ("tasks[0]", "glue/rte dev")]
    *_, last = str(InputError("x.yaml", problems)).splitlines()
    assert last == "explained in docs/studies.md, docs/formats.md#data"


def test_the_page_of_a_problem_counts_before_those_of_its_place_and_its_error() -> None:
    named = Problem(location="model", text="wrong", page=error_pages.HUB)
    assert InputError("x", [named], page=error_pages.FAULTS).problems[0].page == error_pages.HUB
    other = Problem(location="?", text="wrong")
    assert InputError("x", [other], page=error_pages.FAULTS).problems[0].page == error_pages.FAULTS
    error = RaysearchError("Ray died", page=error_pages.FAULTS)
    assert str(error) == f"Ray died\nexplained in {error_pages.FAULTS}"
