"""Every command, study and block of Python on the pages is run, in the order of the page.

All of a run is real but Ray: trials train one after another in this process.
tests/runs/test_scripts.py types a page on a real Ray.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from support.local_runs import train_here
from support.page_reader import PageReader, check_commands, recipe
from support.pages import Step, steps
from support.paths import ROOT
from support.readers_folder import write_readers_folder

# The pages that are typed, and those whose commands are for who develops or measures.
READ = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in READ}
OTHERS = (ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "RESULTS.md")
# Numbers that come of training are those of one kind of processor: PAGE_NUMBERS=1 compares them.
NUMBERS = "PAGE_NUMBERS" in os.environ
NOT_RUN = [
    pytest.param(step, id=f"{page}:{step.line} {step.not_run}")
    for page, text in PAGES.items()
    for step in steps(text)
    if step.not_run
]


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_readers_folder(tmp_path_factory.mktemp("reader"))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if steps(text)])
def test_what_a_page_says_to_type_runs_and_prints_what_it_shows(
    page: str, readers_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(readers_folder, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    train_here(monkeypatch)
    problems = take(PAGES[page])
    assert not problems, "\n".join(f"{page} {problem}" for problem in problems)


def take(text: str) -> list[str]:
    reader = PageReader(numbers=NUMBERS)
    for step in steps(text):
        reader.take(step)
    return reader.problems


@pytest.mark.parametrize("step", NOT_RUN)
def test_what_cannot_be_run_here_is_a_command_with_a_study_all_the_same(step: Step) -> None:
    assert step.kind == "command"
    check_commands(step.text)


def test_the_readme_has_the_table_of_the_first_search() -> None:
    tables = [re.search(r"^\|  \| grammar \|$.*?^$", PAGES[page], flags=re.DOTALL | re.MULTILINE)
              for page in ("README.md", "docs/first_search.md")]  # fmt: skip
    assert tables[0][0] == tables[1][0]


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_the_commands_of_who_develops_are_there(path: Path) -> None:
    lines = re.findall(r"^\$ ([^#\n]*)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in lines:
        check_commands(line.strip())
        if line.startswith("make "):
            recipe(line.split()[1])


@pytest.mark.parametrize("text", [
    "```console\n$ raysearch unheard-of\n```\n",
    "```console\n$ raysearch list --wrong tasks\n```\n",
    "```console\n$ raysearch list nothing\n```\n",
    "```console\n$ raysearch check none.yaml\n```\n",
    "```console\n$ raysearch list tasks\nno such line\n```\n",
    "```console\n$ raysearch table roberta-race --published\n```\n\n"
    "<!-- output -->\n| a | table |\n| --- | --- |\n",
    "<!-- not run: a wrong flag is found -->\n```console\n$ raysearch run x --wrong\n```",
    "<!-- not run: no such study -->\n```console\n$ raysearch run roberta-glu --data DATA\n```\n",
    "<!-- not run: no such task -->\n```console\n$ raysearch run bert-glue --tasks glue/x\n```\n",
    "<!-- not run: elsewhere -->\n```console\n$ ray exec 'bin/raysearch run x --no'\n```\n",
    "```console\n$ make nothing\n```\n",
    "```console\n$ pip install raysearch\n```\n",
    "```console\n$ tensorboard --logdir runs/none\n```\n",
    "```python\nimport raysearch\n\nraysearch.unheard_of\n```\n",
    "```python\nprint(1)\n```\n\n<!-- output -->\n```\n2\n```\n",
    "```yaml\ntasks: [toy/grammar]\nmodel: scratch\nspace: {LR: {lg: [1, 2]}}\n```\n",
    "```yaml\nsearch: {trails: 4}\n```\n",
])  # fmt: skip
def test_a_page_that_is_wrong_is_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (problem,) = take(text)
    assert problem.startswith("line ")


@pytest.mark.parametrize(("text", "message"), [
    ("# Page\n\n```\nwhat is this\n```\n", "line 4: a block without a comment"),
    ("```bash\nls\n```\n", "line 2: a block without a comment"),
    ("<!-- outptu -->\n```\n1\n```\n", "line 3: no such comment: outptu"),
    ("<!-- not run -->\n```console\n$ ls\n```\n", "line 3: no such comment: not run"),
    ("<!-- output -->\n```\n1\n```\n", "line 3: an output before anything"),
    ("```console\nls\n```\n", "line 2: a console block that does not begin with a command"),
])  # fmt: skip
def test_a_block_that_nothing_says_the_meaning_of_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        steps(text)


TABLE = "| a | 1.5 |\n| --- | --- |\n| b | 2 |"


@pytest.mark.parametrize(("comment", "shown", "printed", "is_equal"), [
    ("output", "a 1", "x\na   1\ny", True),
    ("output", "a 1", "a 2", False),
    ("output", "a\nb", "a\nx\nb", False),
    ("output", "b\na", "a\nb", False),
    ("part of the output", "a\nb", "a\nx\nb", True),
    ("part of the output", "b\na", "a\nx\nb", False),
    ("output of training", "a 1.25", "a 17", True),
    ("output of training", "a 1.25", "b 1.25", False),
    ("output of training", "a 'x' 1", "a 'y' 1", False),
    ("output on other data", "a 'x' 1", "a 'y' 2", True),
    ("part of the output on other data", "a 1\nc", "a 2\nb\nc", True),
    ("output", TABLE, f"x\n{TABLE}\ny", True),
    ("output", TABLE, f"{TABLE}\n| c | 3 |", False),
    ("output", TABLE, TABLE.replace("1.5", "1.4"), False),
])  # fmt: skip
def test_what_is_shown_is_compared_as_its_comment_says(
    comment: str, shown: str, printed: str, is_equal: bool
) -> None:
    block = shown if shown.startswith("|") else f"```\n{shown}\n```"
    page = f"```python\nprint({printed!r})\n```\n\n<!-- {comment} -->\n{block}\n"
    reader = PageReader()
    for step in steps(page):
        reader.take(step)
    assert (not reader.problems) is is_equal
