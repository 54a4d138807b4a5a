"""The reference page of Python's public names, read from their signatures and docstrings."""

import inspect
import re
import textwrap
from typing import Any

from pydantic import BaseModel
from table_text import table

import raysearch
from raysearch import search

_SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Yields")
# Functions to which public ones pass their options on.
_PASSED_TO = {"run": search.run, "resume": search.resume}


def python_page() -> str:
    """Return the page of all public names."""
    names = [name for name in raysearch.__all__ if name != "__version__"]
    functions = [name for name in names if inspect.isfunction(getattr(raysearch, name))]
    lines = [
        "# Python",
        "`import raysearch` loads neither Ray nor torch; a name's module is imported when it is"
        " first used. `raysearch.__version__` is the version.",
        "## Functions",
        *(part for name in functions for part in _function(name)),
        "## Classes",
        *(part for name in names if name not in functions for part in _class(name)),
    ]
    return "\n\n".join(lines)


def docstring_parts(text: str) -> list[str]:
    """Return a docstring in Google's form as parts of Markdown."""
    pieces = re.split(rf"^({'|'.join(_SECTIONS)}):\n", inspect.cleandoc(text), flags=re.MULTILINE)
    parts = [_quoted_names(pieces[0].strip())]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        parts.append(f"**{title}**")
        body, _, rest = (textwrap.dedent(body) + "\n").partition("\n\n")
        if title in ("Returns", "Yields"):
            parts.append(_quoted_names(body.strip()))
        else:
            rows = re.findall(r"^(\*{0,2}[\w., ]+): (.*(?:\n .*)*)", body, flags=re.MULTILINE)
            parts.append(
                table(("name", "what it is"), [(f"`{n}`", _quoted_names(t)) for n, t in rows])
            )
        if rest.strip():
            parts.append(_quoted_names(rest.strip()))
    return parts


def _function(name: str) -> list[str]:
    function = getattr(raysearch, name)
    parts = [f"### raysearch.{name}", signature(name, function), *_documented(name, function)]
    if name in _PASSED_TO:
        passed_to = _PASSED_TO[name]
        parts += [
            "The options are those of this function:",
            signature(f"search.{name}", passed_to),
            *_documented(name, passed_to),
        ]
    return parts


def _class(name: str) -> list[str]:
    kind = getattr(raysearch, name)
    parts = [f"### raysearch.{name}"]
    if issubclass(kind, BaseModel):
        parts += [*_documented(name, kind)]
        parts.append("Its fields are those of [a study's file](fields.md#the-file).")
    elif issubclass(kind, Exception):
        parts += _documented(name, kind)
    else:
        parts += [signature(name, kind), *_documented(name, kind)]
    for member, value in vars(kind).items():
        is_method = inspect.isfunction(value) and value.__qualname__.startswith(kind.__name__)
        if member.startswith("_") or not (is_method or isinstance(value, property)):
            continue
        if not inspect.getdoc(value):
            continue
        shown = value.fget if isinstance(value, property) else value
        title = f"#### {name}.{member}"
        parts += [title] if isinstance(value, property) else [title, signature(member, shown)]
        parts += _documented(member, shown)
    return parts


def _documented(name: str, value: Any) -> list[str]:
    """Return the parts of a docstring; a public name without one is an error."""
    text = value.__doc__
    if not text:
        raise ValueError(f"{name} has no docstring")
    return docstring_parts(text)


def signature(name: str, value: Any) -> str:
    """Return a signature as a block of Python, a parameter a line where it is long."""
    parameters = [_short(str(p)) for p in _parameters(value)]
    returns = inspect.signature(value).return_annotation
    end = (
        ""
        if returns in (inspect.Signature.empty, None) or inspect.isclass(value)
        else (f" -> {_short(inspect.formatannotation(returns))}")
    )
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) > 88:
        body = "".join(f"    {parameter},\n" for parameter in parameters)
        line = f"{name}(\n{body}){end}"
    return f"```python\n{line}\n```"


def _parameters(value: Any) -> list[Any]:
    """Return the parameters without self, and a star before those that go by name alone."""
    parameters: list[Any] = []
    for name, parameter in inspect.signature(value).parameters.items():
        if name == "self":
            continue
        by_name = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if (
            by_name
            and "*" not in parameters
            and not any(str(p).startswith("*") for p in parameters)
        ):
            parameters.append("*")
        parameters.append(parameter)
    return parameters


def _short(text: str) -> str:
    """Return a parameter without the modules of its types."""
    text = re.sub(r"<(?:function|class) '?([\w.]+)'?[^>]*>", r"\1", text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text).replace("NoneType", "None")
    return text.replace("'", '"')


def _quoted_names(text: str) -> str:
    """Return prose whose paragraphs are one line each."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
