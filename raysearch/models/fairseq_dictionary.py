"""Reads fairseq's dict.txt, which numbers the tokens of a model.

Apart because the tokenizer of AMOS and the conversion of RoBERTa and XLM-R both read it here, so
that one file means one vocabulary.
"""

from collections.abc import Mapping, Sequence

from ..data.readers.text_lines import place_not_utf8
from ..errors import Problem

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3, which have no line
MASK = "<mask>"  # the last id, unless it has a line
OVERWRITE = "#fairseq:overwrite"
_MAX_PROBLEMS = 10  # that are listed of one file
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_dictionary(
    content: bytes, *, aliases: Mapping[str, str] | None = None, location: str = ""
) -> tuple[list[str], list[Problem]]:
    """Read the tokens of a dict.txt as fairseq's `Dictionary.add_from_file` does.

    A line is a token, a space and a count that Python's int() takes; the token may hold spaces. A
    repeated token is an error, unless its line ends with `#fairseq:overwrite`: then the token has
    the later id, and the earlier id gets a name that no text spells. Three things differ from
    fairseq: a byte order mark is no part of the first token, blank lines at the end of the file are
    ignored, and a file without any count is read too, as AMOS's transformers code does.

    Args:
        content: of the file.
        aliases: name in the file -> name of the same token in the vocabulary.
        location: a prefix for the problems' locations.

    Returns:
        Every token once, in the order of its id: the special ones first, and the mask last unless
        it has a line. And the problems of the file: ten at most, and a count of the others.
    """
    aliases = aliases or {}
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, reason = place_not_utf8(content, error)
        return [], [Problem(location=f"{location}{line}", text=reason)]
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    lines = [line.rstrip() for line in lines] if lines != [""] else []
    counted = any(" " in line for line in lines)
    *tokens, mask = (aliases.get(token, token) for token in (*SPECIAL, MASK))
    line_of = dict.fromkeys(tokens, 0)  # token -> the number of its line, 0 if it has none
    problems = []
    for number, line in enumerate(lines, 1):
        token, overwrites, reason = _parse_line(line, counted)
        token = aliases.get(token, token)
        if not reason:
            reason = _repetition(token, line_of, overwrites)
        if reason:
            problems.append(Problem(location=f"{location}line {number}", text=reason))
        elif token in line_of:
            earlier = len(SPECIAL) + line_of[token] - 1
            tokens[earlier] = f"{token} {OVERWRITE} {earlier}"
        line_of[token] = line_of.get(token, number) if reason else number
        tokens.append(token)
    if mask not in line_of:
        tokens.append(mask)
    return tokens, _shorten(problems)


def _parse_line(line: str, counted: bool) -> tuple[str, bool, str]:
    """Return a line's token, whether it overwrites an earlier one, and what is wrong with it."""
    if not counted and line:
        return line, False, ""
    token, space, count = line.rpartition(" ")
    overwrites = count == OVERWRITE
    if overwrites:
        token, space, count = token.rpartition(" ")
    try:
        int(count)
    except ValueError:
        space = ""
    reason = "" if space else f"{line[:40]!r} is not a piece, a space and its count"
    return token, overwrites, reason


def _repetition(token: str, line_of: Mapping[str, int], overwrites: bool) -> str:
    """Return what is wrong with a repeated token; "" for a new one, or one that may overwrite."""
    earlier = line_of.get(token)
    if earlier is None or (earlier and overwrites):
        return ""
    if not earlier:
        return f"{token!r} has an id already, without a line"
    return f"{token!r} again, which is line {earlier} already"


def _shorten(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first problems, and one that counts the others."""
    more = len(problems) - _MAX_PROBLEMS
    first = list(problems[:_MAX_PROBLEMS])
    if more > 0:
        first.append(Problem(location="...", text=f"and {more:,} more lines", count=more))
    return first
