"""Ways to break bytes, lines and nested values. Each draws from a `Random` alone."""

import copy
import json
from random import Random
from typing import Any

# What readers have stumbled over: separators, encodings, numbers, nesting.
BYTES = (
    b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"\\",
    b"{", b"}", b"[", b"]", b",", b":", b"\x0b", b"\x0c", b"\x1b[31m", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\xc2\xa0", b"\xe2\x80\x8b", b"nan", b"inf", b"-1", b"-0.0", b"1e999", b"0_4",
    b"null", b"true", b"NaN", b"\\ud800", b"\\u0000", b" ", b"9" * 5000, b"[" * 3000,
    b'{"a":' * 1500, b"../../", b"O", b"0", b"A", b"\xd9\xa3",
)  # fmt: skip
# What stands where a text, a number, a list or a mapping is expected.
VALUES = (
    None, True, False, 0, -1, 1.5, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30,
    10**400, "", " ", "\0", "\ud800", "\x1b[31mred", "a\nb", "../../x", "/etc/passwd", "x" * 50_000,
    "nan", "1e-5", "1_000", "\u0663", "none", [], {}, [[]], [{}], [None], {"a": 1},
    {"a": {"b": []}}, [1, 1], [1, "1"], list(range(500)),
)  # fmt: skip


def deep(levels: int) -> list[Any]:
    """Return lists within each other."""
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


def value(random: Random) -> Any:
    """Return a value that does not belong where it will stand."""
    return deep(2000) if random.random() < 0.01 else copy.deepcopy(random.choice(VALUES))


def of_bytes(content: bytes, random: Random, times: tuple[int, ...] = (1, 1, 1, 2, 4)) -> bytes:
    """Return a content with a few of its bytes or lines changed."""
    for _ in range(random.choice(times)):
        content = _once(content, random)
    return content


def _once(content: bytes, random: Random) -> bytes:
    size, way = len(content), random.randrange(10)
    start = random.randrange(size + 1)
    stop = min(size, start + random.choice((1, 1, 3, 10, 100, 1000)))
    if way == 0:
        return content[:start]
    if way == 1:
        return content[:start] + content[stop:]
    if way == 2:
        return content[:start] + random.choice(BYTES) + content[start:]
    if way == 3:
        return content[:start] + bytes([random.randrange(256)]) + content[start + 1 :]
    if way == 4:
        return content[:stop] + content[start:stop] + content[stop:]
    if way == 5:
        return content[:start] + random.choice(BYTES) + content[stop:]
    lines = content.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    if way == 6:
        lines.insert(one, lines[other])
    elif way == 7:
        del lines[one]
    elif way == 8:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        fields = lines[one].split(b"\t")
        fields.insert(random.randrange(len(fields) + 1), random.choice(BYTES))
        lines[one] = b"\t".join(fields)
    return b"\n".join(lines)


def places(tree: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in nested lists and mappings, the whole first."""
    found = [before]
    if isinstance(tree, dict | list) and len(before) < 12:
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, below in items:
            found += places(below, (*before, key))
    return found


def of_tree(tree: Any, random: Random, keys: tuple[Any, ...] = ("x", "", 1, None)) -> Any:
    """Return a copy of nested values with a few of them changed, left out or added.

    Args:
        keys: of what is added to mappings.
    """
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        paths = [path for path in places(tree) if path]
        if not paths:
            return value(random)
        *above, key = random.choice(paths)
        parent = tree
        for step in above:
            parent = parent[step]
        way = random.random()
        if way < 0.6:
            parent[key] = value(random)
        elif way < 0.75:
            del parent[key]
        elif isinstance(parent, dict):
            parent[random.choice(keys)] = random.choice((parent[key], value(random)))
        else:
            parent.append(random.choice((parent[key], value(random))))
    return tree


def as_json(tree: Any) -> bytes:
    """Return nested values as JSON, with NaN and lone surrogates as Python writes them; what JSON
    cannot hold as an empty object."""
    try:
        return json.dumps(tree).encode()
    except (TypeError, ValueError, RecursionError):
        return b"{}"


def of_json_lines(content: bytes, random: Random, keys: tuple[Any, ...] = ("x", "")) -> bytes:
    """Return objects, one a line, of which one has changed values or bytes."""
    lines = content.splitlines(keepends=True)
    index = random.randrange(len(lines))
    lines[index] = of_json(lines[index], random, keys).rstrip(b"\n") + b"\n"
    return b"".join(lines)


def of_json(content: bytes, random: Random, keys: tuple[Any, ...] = ("x", "")) -> bytes:
    """Return JSON with changed values, or with changed bytes."""
    if random.random() < 0.6:
        return as_json(of_tree(json.loads(content), random, keys))
    return of_bytes(content, random)
