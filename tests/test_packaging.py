"""Distributions, the image, and the command that makes a release."""

import fnmatch
import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from support.paths import ROOT

import raysearch

COPIED = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md",
          "CITATION.cff", "SECURITY.md", "constraints.txt")  # fmt: skip
BUILD = "import setuptools.build_meta as b, sys; print(getattr(b, sys.argv[1])(sys.argv[2]))"


def instructions():
    """The instructions of the Dockerfile: (name, arguments)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_image_is_pinned_and_copies_only_what_exists_and_is_sent():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[1] == "*"
    copied = set()
    for name, arguments in instructions():
        if name == "FROM":
            assert re.match(r"python:3\.\d+-slim-\w+( AS \w+)?$", arguments)
        if name == "COPY" and not arguments.startswith("--from"):
            copied |= set(arguments.split()[:-1])
        for command in re.findall(r"pip install [^&|]*", arguments if name == "RUN" else ""):
            assert "-c /tmp/constraints.txt" in command
            assert "--no-cache-dir" in command
    assert copied == set(sent)
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_ends_as_a_user_who_is_not_root_and_starts_the_command():
    names = [name for name, _ in instructions()]
    assert set(names) <= {"FROM", "WORKDIR", "COPY", "RUN", "ARG", "ENV", "USER", "CMD"}
    assert dict(instructions())["USER"] != "root"
    assert instructions()[-1] == ["CMD", '["raysearch"]']


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what a distribution is made of, and of files beside it that it must not hold."""
    folder = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("raysearch", "search_spaces"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_something.py").write_text("")
    for name in COPIED:
        shutil.copy(ROOT / name, folder / name)
    return folder


def built(kind, folder, to):
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(to)],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return to / done.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None, reason="setuptools builds them: not here"
)
def test_the_wheel_of_the_source_distribution_is_the_wheel_of_the_checkout(source, tmp_path):
    archive = built("sdist", source, tmp_path)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not (unpacked / "tests").exists()
    assert all((unpacked / name).is_file() for name in COPIED)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    wheels = built("wheel", unpacked, tmp_path / "one"), built("wheel", source, tmp_path / "two")
    listed = [sorted(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    assert listed[0] == listed[1]
    studies = fnmatch.filter(listed[0], "raysearch/search_spaces/*.yaml")
    assert len(studies) == len(list((ROOT / "search_spaces").glob("*.yaml")))


@pytest.fixture
def checkout(tmp_path):
    """A repository with the files that a release changes, and a function that makes one."""
    sys.path.insert(0, str(ROOT / "tools"))
    import release

    sys.path.pop(0)
    for name in (*release.PLACES, release.CHANGES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / release.CHANGES
    changes.write_text(
        changes.read_text().replace("# Changes\n", "# Changes\n\n## Unreleased\n", 1)
    )

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    def make(version):
        identity = {f"GIT_{who}_{what}": "a@example.org"
                    for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}  # fmt: skip
        command = [sys.executable, str(ROOT / "tools" / "release.py"), version]
        environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", **identity}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    return tmp_path, git, make


def test_a_release_changes_the_version_everywhere_and_tags_it(checkout):
    folder, git, make = checkout
    done = make("9.0.1")
    assert done.returncode == 0, done.stderr
    assert git("tag").stdout.split() == ["v9.0.1"]
    assert git("status", "--porcelain").stdout == ""
    assert "## 9.0.1\n" in (folder / "CHANGELOG.md").read_text()
    assert "## Unreleased" not in (folder / "CHANGELOG.md").read_text()
    old = re.compile(rf"(?<![\d.]){re.escape(raysearch.__version__)}(?![\d.])")
    for name in git("diff", "--name-only", "HEAD~1").stdout.split():
        if name != "CHANGELOG.md":
            assert "9.0.1" in (folder / name).read_text()
            assert not old.search((folder / name).read_text()), name


def test_what_is_in_the_way_of_a_release_is_told_and_nothing_is_changed(checkout):
    folder, git, make = checkout
    (folder / "CHANGELOG.md").write_text("# Changes\n")
    before = git("rev-parse", "HEAD").stdout
    done = make("0.0.1")
    assert done.returncode == 1
    assert f"0.0.1 is not after {raysearch.__version__}" in done.stderr
    assert "has no line '## Unreleased'" in done.stderr
    assert "changes that are not committed" in done.stderr
    assert "is no version" in make("1.0").stderr
    assert (git("rev-parse", "HEAD").stdout, git("tag").stdout) == (before, "")
    assert (folder / "CHANGELOG.md").read_text() == "# Changes\n"
