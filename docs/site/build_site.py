"""Builds the site from the pages under docs/, the pages of the reference, and files of the project.

Usage: python docs/site/build_site.py [--pages-only]

`make docs` runs it. The pages are copied to build/site/pages with their links changed to the site's
own, the reference is generated there from the program's schemas, and Zensical makes build/site/html
of it. Every warning stops the build, and so does what `built_site` finds. With --pages-only nothing
but the pages is written, which needs no Zensical.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import built_site
import column_reference
import command_reference
import markdown_pages
import python_reference
import schema_reference
import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "build" / "site"
ENVIRONMENT = ROOT / ".venv-docs"
CONFIGURATION = Path(__file__).with_name("mkdocs.yml")

# Files outside docs/ that are pages of the site, and folders whose links lead to a page.
PROJECT_PAGES = {
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
}
REPLACED = {
    "README.md": "index.md",
    "search_spaces": "reference/studies.md",
    "benchmarks": "benchmarks.md",
    "examples": "reference/python.md",
}
REFERENCE: dict[str, Callable[[], str]] = {
    "reference/tasks.md": schema_reference.tasks_page,
    "reference/hyperparameters.md": schema_reference.hyperparameters_page,
    "reference/studies.md": schema_reference.studies_page,
    "reference/fields.md": schema_reference.fields_page,
    "reference/command_line.md": command_reference.command_line_page,
    "reference/columns.md": column_reference.columns_page,
    "reference/python.md": python_reference.python_page,
}


class BuildError(Exception):
    """Something in the pages that would not work in the site."""


def main() -> int:
    """Build the site and return the exit code."""
    parser = argparse.ArgumentParser(description="Build the site.")
    parser.add_argument("--pages-only", action="store_true", help="write no HTML")
    options = parser.parse_args()
    try:
        pages = write_pages(TARGET)
        if not options.pages_only:
            build_html(TARGET)
            write_llms_txt(TARGET, pages)
            problems = built_site.problems(TARGET / "html")
            if problems:
                raise BuildError("\n".join(problems))
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(pages)} pages: {TARGET / ('pages' if options.pages_only else 'html')}/index.html")
    return 0


def write_pages(target: Path) -> dict[str, str]:
    """Write all pages and the configuration that Zensical reads.

    Args:
        target: the folder, which is emptied before.

    Returns:
        Page -> its text, in the order of the navigation.

    Raises:
        BuildError: a link or the navigation has no place in the site.
    """
    shutil.rmtree(target, ignore_errors=True)
    sources = page_sources()
    texts = {name: make() for name, make in REFERENCE.items()}
    copied: dict[str, Path] = {}
    for source, name in sources.items():
        texts[name] = with_site_links(ROOT / source, name, sources, copied)
    order, navigation = site_navigation(texts)
    for name, text in texts.items():
        path = target / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, path in copied.items():
        (target / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / "pages" / name)
    shutil.copytree(CONFIGURATION.parent / "theme", target / "theme")
    settings = CONFIGURATION.read_text(encoding="utf-8")
    before, after = re.split(r"^nav:\n(?:[ #].*\n)*", settings, maxsplit=1, flags=re.MULTILINE)
    nav = yaml.safe_dump({"nav": navigation}, sort_keys=False, allow_unicode=True)
    (target / "mkdocs.yml").write_text(f"{before}{nav}{after}", encoding="utf-8")
    return {name: texts[name] for name in order}


def page_sources() -> dict[str, str]:
    """Return file of the project -> page of the site, for all pages that are not generated."""
    docs = ROOT / "docs"
    own = {
        path.relative_to(ROOT).as_posix(): path.relative_to(docs).as_posix()
        for path in markdown_pages.pages_under(docs)
    }
    return own | PROJECT_PAGES


def with_site_links(
    source: Path, name: str, sources: Mapping[str, str], copied: dict[str, Path]
) -> str:
    """Return a page's text with links that hold in the site.

    Args:
        source: the page's file.
        name: the page.
        sources: file of the project -> page.
        copied: file of the site -> file of the project, to which linked files are added.

    Raises:
        BuildError: a link leads to a folder without a page.
    """
    text = source.read_text(encoding="utf-8")
    for link in sorted(markdown_pages.links(text), key=lambda link: -link.start):
        path, sign, anchor = link.target.partition("#")
        if link.is_external or not path:
            continue
        file = (source.parent / path).resolve()
        place = file.relative_to(ROOT).as_posix()
        page = REPLACED.get(place) or sources.get(place)
        if page is None:
            if not file.is_file():
                line = markdown_pages.line_of(text, link.start)
                raise BuildError(f"{source}:{line}: no page of the site stands for {link.target}")
            page = place.removeprefix("docs/") if place.startswith("docs/") else f"files/{place}"
            copied[page] = file
        relative = os.path.relpath(page, Path(name).parent).replace(os.sep, "/")
        end = link.start + len(link.target)
        text = f"{text[: link.start]}{relative}{sign}{anchor}{text[end:]}"
    return text


def site_navigation(texts: Mapping[str, str]) -> tuple[list[str], list[Any]]:
    """Return the pages in their order, and the navigation with the pages that are there.

    Raises:
        BuildError: a page stands nowhere in the navigation.
    """
    settings = CONFIGURATION.read_text(encoding="utf-8")
    block = re.search(r"^nav:\n(?:[ #].*\n)*", settings, flags=re.MULTILINE)
    assert block is not None, "mkdocs.yml has no nav"
    order: list[str] = []
    navigation = list(_entries(yaml.safe_load(block[0])["nav"], texts, order))
    if missing := sorted(set(texts) - set(order)):
        raise BuildError(f"{CONFIGURATION}: nav has no place for {', '.join(missing)}")
    return order, navigation


def _entries(raw: list[Any], texts: Mapping[str, str], order: list[str]) -> Iterator[Any]:
    """Yield the entries of a section whose pages are there; a pattern yields one for each page."""
    for entry in raw:
        if isinstance(entry, str):
            for name in sorted(name for name in texts if Path(name).match(entry)):
                if name not in order and name.count("/") == entry.count("/"):
                    order.append(name)
                    yield {_title(texts[name]): name}
            continue
        ((title, value),) = entry.items()
        if isinstance(value, list):
            if section := list(_entries(value, texts, order)):
                yield {title: section}
        elif value in texts:
            order.append(value)
            yield {title: value}


def build_html(target: Path) -> None:
    """Let Zensical make the HTML, and put the script beside it that draws diagrams.

    Raises:
        BuildError: Zensical is not there, or it has a warning.
    """
    zensical = ENVIRONMENT / "bin" / "zensical"
    diagrams = ENVIRONMENT / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
    for file in (zensical, diagrams):
        if not file.is_file():
            raise BuildError(f"{file} is missing: `make docs` installs it")
    command = [str(zensical), "build", "--clean", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
    if done.returncode:
        output = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
        raise BuildError(output.partition("Traceback")[0])
    html = target / "html"
    shutil.copyfile(diagrams, html / "assets" / "mermaid.js")
    shutil.rmtree(html / "assets" / "stylesheets" / "classic")  # of the theme's other form


def write_llms_txt(target: Path, pages: Mapping[str, str]) -> None:
    """Write llms.txt, the list of all pages as text, and the pages' Markdown beside their HTML.

    Args:
        target: the folder of `write_pages`.
        pages: page -> its text, in order.
    """
    description = re.search(r"^site_description: (.*)$", CONFIGURATION.read_text(), re.MULTILINE)
    assert description is not None, "mkdocs.yml has no description"
    lines = ["# raysearch", "", f"> {description[1]}", ""]
    for entry in site_navigation(pages)[1]:
        ((section, value),) = entry.items()
        names = (
            [name for page in value for name in page.values()]
            if isinstance(value, list)
            else [value]
        )
        lines += [f"## {section}", ""]
        lines += [f"- [{_title(pages[n])}]({n}): {first_sentence(pages[n])}" for n in names]
        lines.append("")
    for name in pages:
        shutil.copyfile(target / "pages" / name, target / "html" / name)
    (target / "html" / "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def first_sentence(text: str) -> str:
    """Return the first sentence of a page's prose, without marks of Markdown."""
    prose = markdown_pages.without_fences(text)
    lines = [line for line in prose.splitlines() if re.match(r"[\w`*\[]", line)]
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", lines[0] if lines else "")
    return re.split(r"(?<=[.?]) ", plain.replace("`", "").replace("**", ""))[0]


def _title(text: str) -> str:
    return markdown_pages.headings(text)[0][1].replace("`", "")


if __name__ == "__main__":
    sys.exit(main())
