"""Somebody who types what a page shows, and looks whether the page is right."""

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import traceback
from pathlib import Path

import yaml
from typer.testing import CliRunner

import raysearch
from raysearch.cli.commands import app
from support.pages import Step, agrees
from support.paths import ROOT

_NOTHING_TO_DO = ("source .venv/bin/activate",)  # `raysearch` is found already
_STUDY = {"tasks": ["toy/grammar"], "model": "scratch"}  # what a part of a study is read with


class PageReader:
    """Types the steps of a page in the current folder, one after another.

    Args:
        numbers: whether numbers of outputs are compared that come of training, too.

    Attributes:
        problems: what is wrong with the page, with lines.
        names: of the page's Python.
    """

    def __init__(self, *, numbers: bool = False) -> None:
        self.numbers = numbers
        self.problems: list[str] = []
        self.names: dict[str, object] = {}

    def take(self, step: Step) -> None:
        """Do what a step says, and compare what it prints with what the page shows."""
        try:
            printed = getattr(self, f"_{step.kind}")(step)
        except (Exception, SystemExit):
            self._refuse(step.line, traceback.format_exc(limit=-3))
            return
        if printed is None:
            return
        for shown in step.shown:
            if not agrees(shown, printed, numbers=self.numbers):
                text = "\n".join(shown.lines)
                self._refuse(shown.line, f"not printed:\n{text}\nbut:\n{printed}")

    def _refuse(self, line: int, text: str) -> None:
        self.problems.append(f"line {line}: {text}")

    def _file(self, step: Step) -> None:
        Path(step.name).write_text(step.text, encoding="utf-8")
        raysearch.load(Path(step.name))

    def _yaml(self, step: Step) -> None:
        raw = yaml.safe_load(step.text)
        if own := raw.get("own"):
            raw = {"tasks": [f"own/{name}" for name in own], "fixed": {"max_length": 256}} | raw
        raysearch.parse(raw if "model" in raw else {**_STUDY, **raw}, name="page")

    def _python(self, step: Step) -> str | None:
        if step.not_run:
            compile(step.text, "page", "exec")
            return None
        if step.needs and importlib.util.find_spec(step.needs) is None:
            return None
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile("\n" * (step.line - 1) + step.text, "page", "exec"), self.names)
        return output.getvalue()

    def _command(self, step: Step) -> str | None:
        program, *words = step.words
        if step.not_run:
            check_commands(step.text)
            return None
        if program == "raysearch":
            return self._raysearch(step, words)
        if program == "make":
            return "".join(self._raysearch(step, words) for words in recipe(words[0]))
        if program == "cp":
            subprocess.run(step.words, check=True)
            return None
        if program == "tensorboard":
            assert list(Path(words[1]).rglob("events.out.tfevents.*")), "no curves there"
            return None
        assert step.text in _NOTHING_TO_DO, (
            "a command without a comment that says why it is not run"
        )
        return None

    def _raysearch(self, step: Step, words: list[str]) -> str:
        if words[0] in ("check", "run"):
            words = with_options(words, shlex.split(step.options))
            if step.alternative:
                named = words[words.index("--name") + 1] if "--name" in words else words[1]
                shutil.rmtree(Path("runs", Path(named).stem), ignore_errors=True)
        done = CliRunner().invoke(app, words)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        if done.exit_code:
            self._refuse(
                step.line, f"{shlex.join(words)} ends with {done.exit_code}\n{done.output}"
            )
        return done.output


def with_options(words: list[str], options: list[str]) -> list[str]:
    """Return a command with options added; each takes the place of its earlier value."""
    added = [tuple(options[at : at + 2]) for at in range(0, len(options), 2)]
    kept = list(words)
    for name, value in added:
        key = value.partition("=")[0]
        for at in range(len(kept) - 1, 0, -1):
            same = kept[at].partition("=")[0] == key if name == "--set" else True
            if kept[at - 1] == name and same:
                del kept[at - 1 : at + 1]
    return [*kept, *options]


def recipe(target: str) -> list[list[str]]:
    """Return the commands of raysearch that a target of the Makefile runs."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    match = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", makefile, flags=re.MULTILINE)
    assert match, f"no target {target}"
    commands = re.findall(r"^\t\$\(BIN\)/raysearch (.*)$", match[1], flags=re.MULTILINE)
    return [shlex.split(command) for command in commands]


def check_commands(text: str) -> None:
    """Let the parser read the commands of raysearch in a line, and load the studies they name."""
    import typer

    verbs = typer.main.get_command(app).commands
    for command in re.findall(r"(?:^|[/ ])raysearch (?!raysearch)([a-z][^'|]*)", text):
        verb, *words = shlex.split(command)
        assert verb in verbs, f"no command {verb}"
        values = verbs[verb].make_context(verb, words).params
        names = values.get("studies") or [values.get("study")]
        for study in (str(name) for name in names if name):
            if Path(study).suffix == ".yaml" and not Path(study).is_file():
                continue  # a file of the reader's
            if "cluster" in study:
                continue
            tasks = values.get("tasks")
            raysearch.load(study, model=values.get("model"), set=values.get("fixed"),
                           tasks=tasks and tasks.split(","), trials=values.get("trials"),
                           sampler=values.get("sampler"))  # fmt: skip
