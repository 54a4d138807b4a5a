"""The command line of this process, for a file that is shared: without secrets.

It is apart because what counts as a secret is a rule of its own.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

MASK = "***"
# A word of a name that says that the value is secret: --token, api_key=, X-Amz-Signature=. Words
# are separated, so that "tokenizer" is none.
_SECRET = (
    r"(?:[\w.-]*[_.-])?(?:pass(?:word|wd)?|pwd|secret|token|key|auth|authorization"
    r"|credentials?|signature|sig|sas)(?:[_.-]id)?"
)
_OPTION = re.compile(rf"--?{_SECRET}", re.IGNORECASE)
_VALUE = re.compile(rf"((?:^|[?&;,\s\"'{{-]){_SECRET}\s*[=:]\s*)[^&;,\s}}]+", re.IGNORECASE)
_USER = re.compile(r"([a-z][a-z0-9+.-]*://)[^/?#\s]*@", re.IGNORECASE)


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Return a command line as one types it, with secrets replaced by ***.

    What is replaced: user and password in URIs, values of query fields and options whose names say
    that they are secret.

    Args:
        arguments: the program and its arguments; None for those of this process.
    """
    program, *rest = (sys.argv if arguments is None else arguments) or [""]
    texts, is_secret = [Path(program).name], False
    for text in rest:
        texts.append(MASK if is_secret and not text.startswith("-") else mask(text))
        is_secret = _OPTION.fullmatch(text) is not None
    return " ".join(text if text == MASK else shlex.quote(text) for text in texts)


def mask(text: str) -> str:
    """Return a text with secrets replaced by ***, see `command_line`."""
    return _VALUE.sub(rf"\1{MASK}", _USER.sub(rf"\1{MASK}@", text))
