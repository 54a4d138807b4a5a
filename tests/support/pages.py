"""Pages of the documentation as scripts: what a reader types, and what the page shows of it.

Comments of a page, which no reader sees, say what its blocks are:

    <!-- output -->             the block or table below is what the command above prints
    <!-- part of the output --> the same, with lines left out
    ... on other data -->       the same, but of data that is not here: the form alone is equal
    <!-- example: REASON -->    the block below is nothing that a reader types, or that is printed
    <!-- needs PACKAGE -->      the Python block below needs a package that may not be installed
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

NUMBERS = re.compile(r"\b[0-9a-f]{12,64}\b|[-+]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
_FENCE = re.compile(r"^```(\w*)$")
_COMMENT = re.compile(r"^<!-- (.*) -->$")
_SHOWN = re.compile(r"(part of the )?output( on other data)?")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a page shows of an output.

    Attributes:
        lines: as they stand there.
        line: number of the first one in the page.
        whole: whether no line is left out between the first and the last; of a table none at all.
        same: whether the numbers are those of the output, not its form alone.
    """

    lines: tuple[str, ...]
    line: int
    whole: bool = True
    same: bool = True


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that the reader of a page types.

    Attributes:
        kind: "command", "python", "file" (a study that the page names) or "yaml" (any other).
        text: the command without its comment, the code, or the YAML.
        line: number of its first line in the page.
        name: of the file.
        needs: the package that a Python block needs, if the page says so.
        shown: what the page shows of its output.
    """

    kind: str
    text: str
    line: int
    name: str = ""
    needs: str = ""
    shown: list[Shown] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    """Return what the reader of a page types, in order.

    Raises:
        ValueError: a block of which the page does not say what it is, with its line.
    """
    result: list[Step] = []
    for block in _blocks(text):
        if match := _SHOWN.fullmatch(block.comment):
            if block.language != "console":
                result[-1].shown.append(_shown(block.lines, block.line, match))
                continue
        if block.language == "console":
            result += _commands(block, match)
        elif block.language == "python":
            needs = block.comment.removeprefix("needs ") if block.comment else ""
            code = "\n".join(block.lines) + "\n"
            result.append(Step(kind="python", text=code, line=block.line, needs=needs))
        elif block.language == "yaml":
            name = _file_name(block.before, block.lines)
            kind = "file" if name else "yaml"
            study = "\n".join(block.lines) + "\n"
            result.append(Step(kind=kind, text=study, line=block.line, name=name))
        elif not block.language and not block.comment.startswith("example: "):
            raise ValueError(f"line {block.line}: a block without a comment that says what it is")
    return result


@dataclass(frozen=True, kw_only=True)
class _Block:
    language: str
    lines: tuple[str, ...]
    line: int
    comment: str  # directly above
    before: str  # the paragraph above


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks of a page, and the tables that a comment calls an output."""
    lines = text.split("\n")
    at, comment, paragraph = 0, "", ""
    while at < len(lines):
        line = lines[at]
        if match := _FENCE.match(line):
            end = lines.index("```", at + 1)
            yield _Block(language=match[1], lines=tuple(lines[at + 1 : end]), line=at + 2,
                         comment=comment, before=paragraph)  # fmt: skip
            at, comment = end, ""
        elif line.startswith("|") and _SHOWN.fullmatch(comment):
            end = next(i for i in range(at, len(lines)) if not lines[i].startswith("|"))
            yield _Block(language="table", lines=tuple(lines[at:end]), line=at + 1,
                         comment=comment, before=paragraph)  # fmt: skip
            at, comment = end - 1, ""
        elif match := _COMMENT.match(line):
            comment = match[1]
        elif line:
            paragraph, comment = (f"{paragraph}\n{line}" if at and lines[at - 1] else line), ""
        at += 1


def _commands(block: _Block, match: re.Match[str] | None) -> list[Step]:
    """Return the commands of a console block, each with the lines below it."""
    starts = [at for at, line in enumerate(block.lines) if line.startswith("$ ")]
    result = []
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        command = block.lines[start].removeprefix("$ ").split(" #")[0].strip()
        step = Step(kind="command", text=command, line=block.line + start)
        if below := block.lines[start + 1 : end]:
            step.shown.append(_shown(below, block.line + start + 1, match))
        result.append(step)
    return result


def _shown(lines: tuple[str, ...], line: int, match: re.Match[str] | None) -> Shown:
    part, other = match.groups() if match else (None, None)
    return Shown(lines=lines, line=line, whole=not part, same=not other)


def _file_name(paragraph: str, block: tuple[str, ...]) -> str:
    """Return the name of the study that a paragraph introduces; "" if it introduces none."""
    names = re.findall(r"`([\w-]+\.yaml)`", paragraph)
    is_study = any(line.startswith("tasks:") for line in block)
    return names[0] if names and is_study and paragraph.endswith(":") else ""


def agrees(shown: Shown, output: str, *, numbers: bool) -> bool:
    """Return whether an output has what a page shows of it.

    Spaces count as one, and empty lines not at all.

    Args:
        shown: what a page shows.
        output: what was printed.
        numbers: whether numbers are compared; if not, any number equals any other.
    """
    form = _plain if numbers and shown.same else _form
    wanted = [form(line) for line in shown.lines if line.strip()]
    printed = [form(line) for line in output.splitlines() if line.strip()]
    if not shown.whole:
        rest = iter(printed)
        return all(line in rest for line in wanted)
    starts = range(len(printed) - len(wanted) + 1)
    ends = [at + len(wanted) for at in starts if printed[at : at + len(wanted)] == wanted]
    is_table = wanted[-1].startswith("|")
    return any(not (is_table and "".join(printed[end : end + 1]).startswith("|")) for end in ends)


def _plain(line: str) -> str:
    return " ".join(line.split())


def _form(line: str) -> str:
    return " ".join(NUMBERS.sub("#", line).split())
