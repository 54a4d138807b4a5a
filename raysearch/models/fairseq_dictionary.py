"""Read fairseq's dict.txt, which numbers the tokens of a model. Both the tokenizer of AMOS and the
conversion of RoBERTa and XLM-R read it here, so that one file means one vocabulary."""

from collections.abc import Mapping, Sequence

from ..data.readers.text_lines import place_not_utf8
from ..errors import Problem

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3, which have no line
MASK = "<mask>"  # the last id, unless it has a line
OVERWRITE = "#fairseq:overwrite"
_SHOWN = 10  # problems of one file
_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark


def read_dictionary(
    content: bytes, *, aliases: Mapping[str, str] | None = None, place: str = ""
) -> tuple[list[str], list[Problem]]:
    """Read the tokens of a dict.txt as fairseq's `Dictionary.add_from_file` does.

    A line is a token, a space and a count that Python's int() takes; the token may hold spaces. A
    token that stands again is refused, unless its line ends with `#fairseq:overwrite`: then the
    token has the later id, and the earlier id a name that no text spells. Three things differ from
    fairseq: a byte order mark is no part of the first token, blank lines at the end of the file
    are left out, and a file without any count is read too, as AMOS's transformers code does.

    Args:
        content: of the file.
        aliases: name in the file -> name of the same token in the vocabulary.
        place: what the problems' places begin with.

    Returns:
        Every token in the order of its id, each once, the special ones first and the mask last
        unless it has a line; and what is wrong, ten problems at most and a count of the others.
    """
    content = content.removeprefix(_MARK)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line, reason = place_not_utf8(content, error)
        return [], [Problem(location=f"{place}{line}", text=reason)]
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    lines = [line.rstrip() for line in lines] if lines != [""] else []
    counted = any(" " in line for line in lines)
    special = [(aliases or {}).get(token, token) for token in (*SPECIAL, MASK)]
    tokens, numbers, problems = special[:-1], dict.fromkeys(special[:-1], 0), []
    for number, line in enumerate(lines, 1):
        token, overwrites, reason = _entry(line, counted)
        token = (aliases or {}).get(token, token)
        if not reason:
            reason = _again(token, numbers, overwrites)
        if reason:
            problems.append(Problem(location=f"{place}line {number}", text=reason))
        elif token in numbers:
            earlier = len(SPECIAL) + numbers[token] - 1
            tokens[earlier] = f"{token} {OVERWRITE} {earlier}"
        numbers[token] = numbers.get(token, number) if reason else number
        tokens.append(token)
    if special[-1] not in numbers:
        tokens.append(special[-1])
    return tokens, _first(problems)


def _entry(line: str, counted: bool) -> tuple[str, bool, str]:
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
    return (
        token,
        overwrites,
        "" if space else f"{line[:40]!r} is not a piece, a space and its count",
    )


def _again(token: str, numbers: Mapping[str, int], overwrites: bool) -> str:
    """Return what is wrong with a token that stands again; empty for one that does not."""
    earlier = numbers.get(token)
    if earlier is None or (earlier and overwrites):
        return ""
    if not earlier:
        return f"{token!r} has an id already, without a line"
    return f"{token!r} again, which is line {earlier} already"


def _first(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first problems, and one that counts the others."""
    more = len(problems) - _SHOWN
    rest = (
        [Problem(location="...", text=f"and {more:,} more lines", count=more)] if more > 0 else []
    )
    return [*problems[:_SHOWN], *rest]
