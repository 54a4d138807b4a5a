"""Importing a module in a thread, while something else takes as long.

It is apart because a command that ends with an error does not wait for the import: the interpreter
then takes modules away under it.
"""

import threading
from contextlib import suppress
from importlib import import_module


def import_in_background(name: str, after: threading.Thread | None = None) -> threading.Thread:
    """Start to import a module, and return the thread.

    What fails there is not told: the import statement after `join` raises it again.

    Args:
        name: the module's full name.
        after: a thread that is waited for first.
    """

    def load() -> None:
        if after is not None:
            after.join()
        with suppress(BaseException):
            import_module(name)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    return thread
