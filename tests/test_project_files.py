"""The files around the package: they agree with each other and name what exists."""

import os
import re
import tomllib

import pytest
import yaml
from support.paths import ROOT

import raysearch

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = dict(
    line.lower().split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def steps(name: str) -> list[str]:
    """Return the commands of a workflow."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    jobs = workflow["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["project"]["version"] == raysearch.__version__
    assert f"## {raysearch.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert citation["license"] == PROJECT["project"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


@pytest.mark.parametrize("extra", ["", "test", "docs"])
def test_every_dependency_is_pinned_within_its_bounds(extra: str) -> None:
    project = PROJECT["project"]
    listed = project["optional-dependencies"][extra] if extra else project["dependencies"]
    for requirement in listed:
        name, lowest = re.match(r"([\w-]+)[^>]*>=([\d.]+)", requirement).groups()
        version = PINNED[name]
        numbers = [[int(part) for part in text.split(".")] for text in (lowest, version)]
        assert numbers[0] <= numbers[1], requirement


def test_a_commit_is_checked_by_the_ruff_of_the_tests() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "https://github.com/astral-sh/ruff-pre-commit"
    assert repository["rev"] == f"v{PINNED['ruff']}"
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff-check", "ruff-format"]


def test_the_workflows_run_what_a_developer_runs() -> None:
    assert [path.name for path in WORKFLOWS] == ["docs.yml", "lint.yml", "tests.yml"]
    assert steps("tests.yml") == [".ci/run"]
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = re.findall(r"^make ([\w-]+)(?: COUNT=1)?$", script.read_text(), flags=re.MULTILINE)
    assert commands == ["test", "coverage-report"]
    assert {*commands, "docs"} <= TARGETS
    assert steps("docs.yml") == ["make docs"]
    lint = (ROOT / "Makefile").read_text().split("lint: install\n")[1].splitlines()[0]
    checks = [command.removeprefix("$(BIN)/") for command in lint.strip().split(" && ")]
    # mypy needs the whole installation, which the quick workflow does without.
    assert steps("lint.yml")[1:] == [check for check in checks if check != "mypy"]
    assert "mypy" in checks


def test_the_workflows_use_a_python_that_the_package_takes() -> None:
    for path in WORKFLOWS:
        (version,) = re.findall(r'python-version: "([\d.]+)"', path.read_text())
        assert PROJECT["project"]["requires-python"] == f">={version}"


def test_every_make_command_of_the_pages_is_a_target() -> None:
    pages = (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md"))
    named = {name for page in pages for name in re.findall(r"\bmake (\w+)", page.read_text())}
    assert {"install", "unit", "test", "coverage", "demo"} <= named
    console = re.compile(r"^\$ make (\w+)", flags=re.MULTILINE)
    assert {name for page in pages for name in console.findall(page.read_text())} <= TARGETS


def test_every_marker_of_the_tests_says_what_it_means() -> None:
    markers = PROJECT["tool"]["pytest"]["ini_options"]["markers"]
    assert [text.split(":")[0] for text in markers] == ["ray", "cluster", "store", "slow"]
    assert all(len(text.split(":")[1]) > 20 for text in markers)
