"""Pages of the documentation as scripts: what a reader types, and what the page shows of it.

Comments above a block, which no reader sees, say what it is:

    <!-- output -->             the block or table below is what the command above prints
    <!-- part of the output --> the same, with lines left out
    ... of training -->         the same, but of a model that was trained: the numbers are those of
                                one kind of processor
    ... on other data -->       the same, but of data that is not here: the form is equal,
                                but for numbers and what stands in quotes
    <!-- example: REASON -->    the block below is nothing that a reader types, or that is printed
    <!-- not run: REASON -->    the commands or the Python below cannot be run by a test
    <!-- not run, START: REASON --> the same of the commands that begin so
    <!-- run with OPTIONS; REASON --> what makes the runs below possible here, or short
    <!-- before: COMMAND -->    a command that is not shown, for what the page takes to be there
    <!-- alternatives -->       each run below takes the place of an earlier one of its name
    <!-- needs PACKAGE -->      the Python block below needs a package that may not be installed
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

_NUMBERS = r"\b[0-9a-f]{12,64}\b|(?:below )?[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
# What is not compared, by the source of an output.
_LEFT_OUT = {
    "": None,
    "of training": re.compile(_NUMBERS),
    "on other data": re.compile(rf"'[^']*'|{_NUMBERS}"),
}
_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (.*) -->$")
_SHOWN = re.compile(r"(part of the )?output(?: (of training|on other data))?")
_SAID = re.compile(
    r"example: (?P<example>.+)|run with (?P<options>-.+?); .+"
    r"|(?P<alternatives>alternatives)|needs (?P<needs>\w+)"
)
_BEFORE = re.compile(r"^<!-- before: (.*) -->$")
_NOT_RUN = re.compile(r"not run(?:, (?P<start>[^:]+))?: (?P<reason>.+)")
_DRAWN = ("mermaid",)  # languages of blocks that are pictures


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a page shows of an output.

    Attributes:
        lines: as they stand there.
        line: number of the first one in the page.
        whole: whether no line is left out between the first and the last; of a table none at all.
        source: "" where every number is that of the output, else "of training" or "on other data".
    """

    lines: tuple[str, ...]
    line: int
    whole: bool = True
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that the reader of a page types.

    Attributes:
        kind: "command", "python", "file" (a study that the page names) or "yaml" (any other).
        text: the command without its comment, the code, or the YAML.
        line: number of its first line in the page.
        name: of the file.
        needs: the package that a Python block needs, if the page says so.
        not_run: why a test cannot run it; "" if one does.
        options: what a test adds to a command that trains.
        alternative: whether a run takes the place of an earlier one of its name.
        shown: what the page shows of its output.
    """

    kind: str
    text: str
    line: int
    name: str = ""
    needs: str = ""
    not_run: str = ""
    options: str = ""
    alternative: bool = False
    shown: list[Shown] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """The words of a command."""
        return shlex.split(self.text)


def steps(text: str) -> list[Step]:
    """Return what the reader of a page types, in order.

    Raises:
        ValueError: a block of which the page does not say what it is, with its line.
    """
    result: list[Step] = []
    for block in _blocks(text):
        if block.language == "before":
            result.append(Step(kind="command", text=block.lines[0], line=block.line))
            continue
        match, said = _meaning(block)
        content = "\n".join(block.lines) + "\n"
        if match and block.language != "console":
            if not result:
                raise ValueError(f"line {block.line}: an output before anything that prints it")
            result[-1].shown.append(_shown(block.lines, block.line, match))
        elif said["example"] or block.language in _DRAWN:
            continue
        elif block.language == "console":
            result += _commands(block, match, said)
        elif block.language == "python":
            result.append(
                Step(
                    kind="python",
                    text=content,
                    line=block.line,
                    needs=said["needs"] or "",
                    not_run=_reason(block, ""),
                )
            )
        elif block.language == "yaml":
            name = _file_name(block.before, block.lines)
            kind = "file" if name else "yaml"
            result.append(Step(kind=kind, text=content, line=block.line, name=name))
        elif block.language == "json":
            json.loads(content)
        else:
            raise ValueError(f"line {block.line}: a block without a comment that says what it is")
    return result


@dataclass(frozen=True, kw_only=True)
class _Block:
    language: str
    lines: tuple[str, ...]
    line: int
    comments: tuple[str, ...]  # directly above
    before: str  # the paragraph above


def _meaning(block: _Block) -> tuple[re.Match[str] | None, dict[str, str | None]]:
    """Return what the comments above a block say: of an output, and of all else by name."""
    output, said = None, dict.fromkeys(_SAID.groupindex)
    for comment in block.comments:
        if match := _SHOWN.fullmatch(comment):
            output = match
        elif _NOT_RUN.fullmatch(comment):
            continue
        elif match := _SAID.fullmatch(comment):
            said |= {name: value for name, value in match.groupdict().items() if value}
        else:
            raise ValueError(f"line {block.line}: no such comment: {comment}")
    return output, said


def _reason(block: _Block, command: str) -> str:
    """Return why a test does not run a command of a block; "" if it does."""
    matches = filter(None, map(_NOT_RUN.fullmatch, block.comments))
    return next((m["reason"] for m in matches if command.startswith(m["start"] or "")), "")


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks of a page, and the tables that a comment calls an output."""
    lines = [*text.split("\n"), ""]
    at, paragraph = 0, ""
    comments: tuple[str, ...] = ()
    while at < len(lines):
        line = lines[at]
        if match := _FENCE.match(line):
            end = lines.index("```", at + 1)
            yield _Block(language=match[1], lines=tuple(lines[at + 1 : end]), line=at + 2,
                         comments=comments, before=paragraph)  # fmt: skip
            at, comments = end, ()
        elif line.startswith("|") and any(_SHOWN.fullmatch(comment) for comment in comments):
            end = next(i for i in range(at, len(lines)) if not lines[i].startswith("|"))
            yield _Block(language="table", lines=tuple(lines[at:end]), line=at + 1,
                         comments=comments, before=paragraph)  # fmt: skip
            at, comments = end - 1, ()
        elif match := _BEFORE.match(line):
            yield _Block(language="before", lines=(match[1],), line=at + 1, comments=(), before="")
        elif match := _COMMENT.match(line):
            comments = (*comments, match[1])
        elif line:
            follows = at and lines[at - 1] and not comments
            paragraph, comments = (f"{paragraph}\n{line}" if follows else line), ()
        at += 1


def _commands(
    block: _Block, match: re.Match[str] | None, said: dict[str, str | None]
) -> Iterator[Step]:
    """Yield the commands of a console block, each with the lines below it."""
    starts = [at for at, line in enumerate(block.lines) if line.startswith("$ ")]
    if starts[:1] != [0]:
        raise ValueError(f"line {block.line}: a console block that does not begin with a command")
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        command = block.lines[start].removeprefix("$ ").split(" #")[0].strip()
        step = Step(kind="command", text=command, line=block.line + start,
                    not_run=_reason(block, command), options=said["options"] or "",
                    alternative=bool(said["alternatives"]))  # fmt: skip
        if below := block.lines[start + 1 : end]:
            step.shown.append(_shown(below, block.line + start + 1, match))
        yield step


def _shown(lines: tuple[str, ...], line: int, match: re.Match[str] | None) -> Shown:
    part, source = match.groups() if match else (None, None)
    return Shown(lines=lines, line=line, whole=not part, source=source or "")


def _file_name(paragraph: str, block: tuple[str, ...]) -> str:
    """Return the name of the study that a paragraph introduces; "" if it introduces none."""
    names = re.findall(r"`([\w-]+\.yaml)`", paragraph)
    is_study = any(line.startswith("tasks:") for line in block)
    return names[0] if names and is_study and paragraph.endswith(":") else ""


def agrees(shown: Shown, output: str, *, numbers: bool = False) -> bool:
    """Return whether an output has what a page shows of it.

    Spaces count as one, and empty lines not at all.

    Args:
        shown: what a page shows.
        output: what was printed.
        numbers: whether numbers are compared that come of training, too.
    """
    left_out = _LEFT_OUT["" if numbers and shown.source == "of training" else shown.source]

    def form(line: str) -> str:
        return " ".join((left_out.sub("#", line) if left_out else line).split())

    wanted = [form(line) for line in shown.lines if line.strip()]
    printed = [form(line) for line in output.splitlines() if line.strip()]
    if not shown.whole:
        rest = iter(printed)
        return all(line in rest for line in wanted)
    starts = range(len(printed) - len(wanted) + 1)
    ends = [at + len(wanted) for at in starts if printed[at : at + len(wanted)] == wanted]
    is_table = wanted[-1].startswith("|")
    return any(not (is_table and "".join(printed[end : end + 1]).startswith("|")) for end in ends)
