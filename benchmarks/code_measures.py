"""Measure the source: size, function lengths, types, docstrings, and how far one head is scattered.

Run it on two checkouts to compare them:

    python benchmarks/code_measures.py raysearch ../older/raysearch
"""

import argparse
import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HEADS = ("classify", "regress", "choose", "span", "tag", "thought")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# First words of docstrings that are no imperative.
NO_VERB = re.compile(r"(What|Whether|How|Where|Which|Why|Who|Whose|The|A|An|Of|All|Every)\b")
VAGUE = {"found", "said", "made", "seen", "told", "at", "given", "wanted", "whole"}


def functions(trees: list[ast.Module]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of some modules, methods and inner functions included."""
    for tree in trees:
        yield from (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def bound_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the local names that a function assigns."""
    nodes = (node for node in ast.walk(function) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def measure(package: Path) -> dict[str, str]:
    """Return name -> value of every measure of a package's folder."""
    paths = sorted(package.rglob("*.py"))
    texts = {path: path.read_text() for path in paths}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = sum(text.count("\n") for text in texts.values())
    lengths = [node.end_lineno - node.lineno + 1 for node in functions([*trees.values()])]
    documented = [ast.get_docstring(node) for node in functions([*trees.values()])]
    documented = [text for text in documented if text]
    quoted = [
        path
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in HEADS
        if not {"heads", "tasks"} & set(path.relative_to(package).parts)
    ]
    vague = sum(bool(bound_names(node) & VAGUE) for node in functions([*trees.values()]))
    anys = sum(len(re.findall(r"\bAny\b", text)) for text in texts.values())
    packages = [path for path in package.iterdir() if (path / "__init__.py").is_file()]
    return {
        "files": f"{len(paths)}",
        "lines": f"{lines:,}",
        "packages": f"{len(packages)}",
        "function lines, median": f"{statistics.median(lengths):g}",
        "function lines, 90th percentile": f"{statistics.quantiles(lengths, n=10)[-1]:g}",
        "Any per 1,000 lines": f"{1000 * anys / max(1, lines):.1f}",
        "docstrings of functions": f"{len(documented):,}",
        "of these begin with no verb": f"{sum(bool(NO_VERB.match(t)) for t in documented):,}",
        "functions with a vague local name": f"{vague}",
        "quoted head names outside heads/ and tasks/": f"{len(quoted)} in {len(set(quoted))} files",
        "mypy --strict errors": mypy_errors(package),
    }


def mypy_errors(package: Path) -> str:
    """Return how many errors mypy finds in strict mode; "not measured" where it is missing."""
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=package.parent)
    match = re.search(r"Found ([\d,]+) error", done.stdout)
    if match is None and "Success" not in done.stdout:
        return "not measured"
    return match[1] if match else "0"


def main() -> None:
    """Print the measures of each folder side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+", type=Path, help="folders of the package")
    columns = [measure(package) for package in parser.parse_args().packages]
    for name in columns[0]:
        print(f"{name:<46}", *(f"{column[name]:>16}" for column in columns))


if __name__ == "__main__":
    main()
