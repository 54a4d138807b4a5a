"""Importing modules in threads, while something else takes as long.

It is apart because a command that ends with an error does not wait for the import: the interpreter
then takes modules away under it.
"""

import threading
from contextlib import suppress
from importlib import import_module

_MODELS = threading.Lock()


def import_models() -> None:
    """Import what reads and writes models, in one thread at a time.

    Two threads that import transformers at once may each see a part of it only.
    """
    with _MODELS:
        import_module("raysearch.models")


def import_in_background(name: str) -> threading.Thread:
    """Start to import a module, and return the thread.

    What fails there is not told: the import statement after `join` raises it again.

    Args:
        name: the module's full name.
    """

    def load() -> None:
        with suppress(BaseException):
            import_module(name)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    return thread
