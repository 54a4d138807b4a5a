"""The pages of the site: the navigation, the links, and the reference made of the program."""

import re
from pathlib import Path
from typing import Any

import build_site
import column_reference
import command_reference
import markdown_pages
import pytest
import python_reference
import schema_reference
import typer
from schema_text import field_values
from support.paths import ROOT

import raysearch
from raysearch.cli.commands import app
from raysearch.recipes import RECIPES
from raysearch.shipped_studies import shipped_studies
from raysearch.study import schema
from raysearch.tasks import TASKS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all pages, as Zensical gets it."""
    target = tmp_path_factory.mktemp("site") / "site"
    build_site.write_pages(target)
    return target


@pytest.mark.slow
def test_every_link_of_the_pages_leads_somewhere(site: Path) -> None:
    pages = list((site / "pages").rglob("*.md"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for link in markdown_pages.links(text):
            if link.is_external:
                continue
            name, _, anchor = link.target.partition("#")
            target = page.parent / name if name else page
            assert target.is_file(), (page.name, link.target)
            if anchor:
                assert anchor in markdown_pages.anchors(target.read_text()), (page, link.target)


@pytest.mark.slow
def test_every_page_stands_in_the_navigation_once(site: Path) -> None:
    settings = (site / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"\b[\w/]+\.md$", settings, flags=re.MULTILINE)
    pages = [path.relative_to(site / "pages") for path in (site / "pages").rglob("*.md")]
    assert sorted(named) == sorted(path.as_posix() for path in pages)


def test_a_page_without_a_place_in_the_navigation_is_refused() -> None:
    texts = {"index.md": "# Home", "unheard_of.md": "# Page"}
    with pytest.raises(build_site.BuildError, match=r"nav has no place for unheard_of\.md"):
        build_site.site_navigation(texts)


def test_entries_without_a_page_are_left_out_and_patterns_take_what_is_there() -> None:
    texts = {"index.md": "# raysearch", "from/trainer.md": "# From `Trainer`", "limits.md": "# L"}
    order, navigation = build_site.site_navigation(texts)
    assert order == ["index.md", "limits.md", "from/trainer.md"]
    assert navigation == [
        {"Home": "index.md"},
        {"Guides": [{"Limits": "limits.md"}]},
        {"Coming from": [{"From Trainer": "from/trainer.md"}]},
    ]


def test_links_of_the_project_become_links_of_the_site() -> None:
    sources = build_site.page_sources()
    copied: dict[str, Path] = {}
    text = build_site.with_site_links(ROOT / "docs" / "limits.md", "limits.md", sources, copied)
    assert "](benchmarks.md#" in text
    assert "](security.md)" in text
    text = build_site.with_site_links(ROOT / "docs" / "results.md", "results.md", sources, copied)
    assert "](pictures/report.png)" in text
    folder = ROOT / "docs" / "pictures"
    assert copied == {f"pictures/{path.name}": path for path in folder.glob("*.png")}


def test_a_link_to_a_folder_without_a_page_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n[tests](tests/)\n")
    with pytest.raises(build_site.BuildError, match=r"page.md:3: no page .* tests/"):
        build_site.with_site_links(page, "page.md", {}, {})


@pytest.mark.slow
def test_tasks_hyperparameters_and_studies_are_all_there() -> None:
    page = schema_reference.tasks_page()
    assert set(re.findall(r"^\| `([^`]+)` \|", page, flags=re.MULTILINE)) == set(TASKS)
    page = schema_reference.studies_page()
    rows = re.findall(r"^\| \[([\w-]+)\]\(#\1\) \|", page, flags=re.MULTILINE)
    assert rows == re.findall(r"^## (\S+)$", page, flags=re.MULTILINE) == list(shipped_studies())


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_hyperparameters_of_a_recipe_stand_under_all_recipes_or_under_its_own(
    recipe: str,
) -> None:
    parts = re.split(r"^## (.*)$", schema_reference.hyperparameters_page(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    names = [
        name
        for title in ("Of all recipes", recipe)
        for name in re.findall(r"^\| `(\w+)` \|", sections[title], flags=re.MULTILINE)
    ]
    assert sorted(names) == sorted(RECIPES[recipe].hyper.model_fields)


def test_every_field_of_a_study_is_there_with_its_bounds() -> None:
    page = schema_reference.fields_page()
    for model in (schema.Study, schema.Search, schema.Confirm, schema.Published, schema.PerTask):
        names = [field.alias or name for name, field in model.model_fields.items()]
        assert all(f"\n| `{name}` |" in page for name in names)
    assert field_values(schema.Search.model_fields["hours"]) == "number > 0, ≤ 1,000,000 or none"
    assert field_values(schema.Confirm.model_fields["report"]) == "`median`, `mean`, `max`"
    fields = RECIPES["finetune"].hyper.model_fields
    assert field_values(fields["EPOCH"]) == "number > 0, ≤ 100,000 or `{steps: N}`"
    assert field_values(fields["adam_betas"]) == "[number, number]"
    assert field_values(fields["bias_correction"]) == "true, false"


def test_the_fields_of_the_reference_are_those_that_a_file_may_have_and_must_have() -> None:
    parts = re.split(r"^## (.*)$", schema_reference.fields_page(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    needed = re.findall(r"^\| `(\w+)` \| needed \|", sections["The file"], flags=re.MULTILINE)
    smallest: dict[str, Any] = {"tasks": ["glue/mnli", "glue/rte"], "model": "scratch"}
    assert sorted(needed) == sorted(smallest)
    assert raysearch.parse(smallest).name == "study"
    names = re.findall(r"^\| `(\w+)` \|", sections["per_task"], flags=re.MULTILINE)
    values: dict[str, Any] = {"from": "glue/mnli", "model": "x", "space": {}, "fixed": {}}
    assert names == list(values)
    for name in set(names) - {"model"}:  # either `from` or `model`
        raysearch.parse(smallest | {"per_task": {"glue/rte": {name: values[name]}}})


def test_every_command_option_and_argument_is_there() -> None:
    page = command_reference.command_line_page()
    commands = typer.main.get_command(app).commands
    assert re.findall(r"^## (\S+)$", page, flags=re.MULTILINE) == list(commands)
    parts = re.split(r"^## .*$", page, flags=re.MULTILINE)[1:]
    for part, command in zip(parts, commands.values(), strict=True):
        options = [p.opts[0] for p in command.params if type(p).__name__ == "TyperOption"]
        assert all(f"| `{option}" in part for option in options)
        assert command.help.split("\n")[0] in part


def test_every_column_of_the_parquet_files_is_described() -> None:
    page = column_reference.columns_page()
    for words in (column_reference.TRIALS, column_reference.REPORTS, column_reference.PREDICTIONS):
        assert all(f"\n| `{name}` |" in page for name in words)
    assert "| `device_hours` | float64 |" in page


def test_a_column_without_words_and_words_without_a_column_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(column_reference.TRIALS, "host")
    with pytest.raises(ValueError, match="column host is not described"):
        column_reference.columns_page()
    monkeypatch.undo()
    monkeypatch.setitem(column_reference.REPORTS, "unheard_of", "nothing")
    with pytest.raises(ValueError, match="no column is named unheard_of"):
        column_reference.columns_page()


def test_every_public_name_is_there_with_its_parameters() -> None:
    page = python_reference.python_page()
    names = re.findall(r"^### raysearch\.(\w+)$", page, flags=re.MULTILINE)
    assert sorted(names) == sorted(set(raysearch.__all__) - {"__version__"})
    assert "wait_for_nodes: float | None = None" in page
    assert "<function" not in page
    assert "<class" not in page


def test_a_docstring_becomes_paragraphs_and_tables() -> None:
    text = """Return a sum.

    It is exact
    and slow.

    Args:
        one: a number,
            or two.
        other: another.

    Returns:
        The sum.

    Raises:
        ValueError: it is too large.
    """
    assert python_reference.docstring_parts(text) == [
        "Return a sum.\n\nIt is exact and slow.",
        "**Args**",
        "| name | what it is |\n| --- | --- |\n| `one` | a number, or two. |\n"
        "| `other` | another. |\n",
        "**Returns**",
        "The sum.",
        "**Raises**",
        "| name | what it is |\n| --- | --- |\n| `ValueError` | it is too large. |\n",
    ]


def test_the_first_sentence_is_that_of_the_prose() -> None:
    text = "# Title\n\n```\ncode\n```\n\n`check` says [why](page.md): at once. Then more."
    assert build_site.first_sentence(text) == "check says why: at once."
