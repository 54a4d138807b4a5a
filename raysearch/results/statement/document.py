"""The statement as plain values, and its two forms: Markdown and LaTeX.

It is apart from the points because these only make texts; escaping is the same for all of them.
"""

from dataclasses import dataclass

from ..table_formats import escape_latex, escape_markdown

NOT_RECORDED = "not recorded"  # of a run whose version of raysearch did not


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of the statement.

    Attributes:
        title: what it answers.
        text: sentences that a paper's appendix can take over.
        details: the facts behind them, one line each.
    """

    title: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The statement of a run.

    Attributes:
        title: of the document.
        points: in the order of the checklist.
        answers: to C1 to C4 of ARR's Responsible NLP checklist.
    """

    title: str
    points: tuple[Point, ...]
    answers: tuple[Point, ...]


_INTRODUCTION = (
    "Made by raysearch from the run folder. Each point begins with sentences to paste; the lines"
    f" below them are the facts. '{NOT_RECORDED}' marks what the version that ran did not record."
)
_ARR = "ARR Responsible NLP checklist, section C"


def to_markdown(statement: Statement) -> str:
    """Return a statement in Markdown."""
    lines = [f"# {escape_markdown(statement.title)}", "", _INTRODUCTION]
    for number, point in enumerate(statement.points, 1):
        lines += ["", f"## {number}. {point.title}", "", escape_markdown(point.text)]
        if point.details:
            lines += ["", *(f"- {escape_markdown(line)}" for line in point.details)]
    lines += ["", f"## {_ARR}"]
    for answer in statement.answers:
        lines += ["", f"**{answer.title}**", "", escape_markdown(answer.text)]
    return "\n".join(lines).rstrip() + "\n"


def to_latex(statement: Statement) -> str:
    r"""Return a statement in LaTeX, for \input into an appendix; it needs no package."""
    lines = ["% For \\input; needs no package.", rf"\section*{{{escape_latex(statement.title)}}}"]
    for number, point in enumerate(statement.points, 1):
        title = escape_latex(f"{number}. {point.title}")
        lines += ["", rf"\paragraph{{{title}}} {escape_latex(point.text)}"]
        if point.details:
            lines += [r"\begin{itemize}\sloppy"]
            lines += [rf"\item {{}}{escape_latex(line)}" for line in point.details]
            lines += [r"\end{itemize}"]
    lines += ["", rf"\subsection*{{{escape_latex(_ARR)}}}"]
    for answer in statement.answers:
        title = escape_latex(answer.title)
        lines += ["", rf"\paragraph{{{title}}} {escape_latex(answer.text)}"]
    return "\n".join(lines) + "\n"
