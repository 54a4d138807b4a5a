"""The command line of this process, for a file that is shared: without secrets.

It is apart because what counts as a secret is a rule of its own.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

MASK = "***"
# A name that says that the value is secret: --token, apikey=, X-Amz-Signature=. The first five may
# end a longer word; the others have to be words of their own, so that "design" is none.
_SECRET = (
    r"(?:[\w.-]*(?:password|passwd|secret|token|key)|(?:[\w.-]*[_.-])?"
    r"(?:pass|pwd|auth|authorization|credentials?|signature|sig|sas))(?:[_.-]?id)?"
)
# After these, the next argument is secret.
_BEFORE_SECRET = re.compile(rf"--?{_SECRET}|{_SECRET}\s*[=:]|bearer|basic", re.IGNORECASE)
_WHOLE = re.compile(rf"(-{{0,2}}{_SECRET}\s*[=:]\s*).+", re.IGNORECASE | re.DOTALL)
_REST = re.compile(r"(\bauthorization\W*[=:]\s*|\bbearer\s+).+", re.IGNORECASE | re.DOTALL)
_VALUE = re.compile(
    rf"((?<![\w.-]){_SECRET}[\"']?\s*[=:]\s*)(?:\"[^\"]*\"?|'[^']*'?|[^&;,\s}}]+)", re.IGNORECASE
)
_USER = re.compile(r"(://)(?:[^/?#\s]*|[^/?#\s:]+:[^\s@]*)@")
_USER_WITHOUT_SCHEME = re.compile(r"(?<![^\s=\"'])[^\s:/@=\"']+:[^\s/@]+@")


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Return a command line as one types it, with secrets replaced by ***.

    What is replaced: user and password in URIs, values of query fields and options whose names say
    that they are secret, and what an Authorization header holds.

    Args:
        arguments: the program and its arguments; None for those of this process.
    """
    program, *rest = (sys.argv if arguments is None else arguments) or [""]
    texts, is_secret = [Path(program).name], False
    for text in rest:
        texts.append(MASK if is_secret and not text.startswith("--") else mask(text))
        is_secret = _BEFORE_SECRET.fullmatch(text) is not None
    return " ".join(text if text == MASK else shlex.quote(text) for text in texts)


def mask(text: str) -> str:
    """Return a text with secrets replaced by ***, see `command_line`."""
    if match := _WHOLE.fullmatch(text):
        return f"{match[1]}{MASK}"
    text = _USER_WITHOUT_SCHEME.sub(f"{MASK}@", _USER.sub(rf"\1{MASK}@", text))
    return _VALUE.sub(rf"\1{MASK}", _REST.sub(rf"\1{MASK}", text))
