"""The modules of the package as syntax trees, for the tests that read rules from the source."""

import ast
from functools import cache
from pathlib import Path

from support.paths import ROOT

PACKAGE = ROOT / "raysearch"


@cache
def trees() -> dict[Path, ast.Module]:
    """Return the path of each module, under the package, and its syntax tree.

    They are parsed when a test first asks, because every worker that shares the tests imports all
    test modules.
    """
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")
    }
