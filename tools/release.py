"""Make a release: one version in all files, its changes under its own heading, a commit and a tag.

    make release VERSION=0.3.0

The changes since the last release stand in CHANGELOG.md under "## Unreleased". Nothing is changed
if something is in the way. `make dist` then builds what is published.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

# File -> the text around its version.
PLACES = {
    "pyproject.toml": 'version = "{}"',
    "raysearch/__init__.py": '__version__ = "{}"',
    "CITATION.cff": "version: {}",
    "clusters/kuberay/raycluster.yaml": "image: REGISTRY/raysearch:{}",
    "clusters/kuberay/rayjob.yaml": "image: REGISTRY/raysearch:{}",
}
CHANGES, HEADING = "CHANGELOG.md", "## Unreleased\n"


def main() -> None:
    """Make the release that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="such as 0.3.0")
    version = parser.parse_args().version
    root = Path(git(Path.cwd(), "rev-parse", "--show-toplevel"))
    changed, problems = plan(root, version)
    if problems:
        sys.exit("\n".join([f"release {version}: not made", *(f"  {text}" for text in problems)]))
    for path, text in changed.items():
        (root / path).write_text(text, encoding="utf-8")
    git(root, "add", *changed)
    git(root, "commit", "--quiet", "--message", f"Version {version}")
    git(root, "tag", f"v{version}", "--message", f"raysearch {version}")
    print(f"committed and tagged v{version}: {', '.join(changed)}")


def plan(root: Path, version: str) -> tuple[dict[str, str], list[str]]:
    """Return the new texts of the files that a release changes, and what is in its way."""
    changed, problems = {}, []
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.*)"$', project, flags=re.MULTILINE)
    current = found[1] if found else ""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        problems.append(f"'{version}' is no version: three numbers with dots are, such as 0.3.0")
    elif _numbers(version) <= _numbers(current):
        problems.append(f"{version} is not after {current}")
    for path, form in PLACES.items():
        text = (root / path).read_text(encoding="utf-8")
        if form.format(current) not in text:
            problems.append(f"{path} has no {form.format(current)!r}")
        changed[path] = text.replace(form.format(current), form.format(version))
    changes = (root / CHANGES).read_text(encoding="utf-8")
    if HEADING not in changes:
        problems.append(
            f"{CHANGES} has no line {HEADING.strip()!r} with the changes since {current}"
        )
    changed[CHANGES] = changes.replace(HEADING, f"## {version}\n", 1)
    if git(root, "status", "--porcelain"):
        problems.append("there are changes that are not committed")
    if git(root, "tag", "--list", f"v{version}"):
        problems.append(f"the tag v{version} is there already")
    return changed, problems


def git(root: Path, *arguments: str) -> str:
    """Return what git says."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


if __name__ == "__main__":
    main()
