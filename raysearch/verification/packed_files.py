"""The files of a run or a pack: opened safely, and compared with the manifest.

They are apart from the checks of what the files say.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, Problem
from ..results.research_crate import MANIFEST
from ..run_folder import opening
from ..storage import file_inside, is_zip, kind_of, open_regular, unpack
from .checks import Check, Verdict

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MAX_MANIFEST = 2**23  # bytes


@contextmanager
def opened(source: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield the folder of a run, or the folder that a pack was unpacked to, and the pack's SHA-256.

    Raises:
        InputError: it is neither, or the pack is damaged or unsafe.
    """
    if source.is_dir():
        yield source, None
        return
    if not source.exists() or not is_zip(source):
        text = "is neither a run folder nor a pack of `raysearch pack`"
        if not source.exists():
            would_do = "; a run folder or a pack of `raysearch pack` would do"
            text = f"is not there{opening.near_runs(source) or would_do}"
        raise InputError(str(source), [Problem(location="run or pack", text=text)])
    with tempfile.TemporaryDirectory(prefix="raysearch-pack-") as temporary:
        folder = Path(temporary).resolve()
        unpack(source, folder)
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield folder, digest


def manifest_checks(folder: Path, *, packed: bool) -> Iterator[Check]:
    """Yield whether each file of a pack has the hash of its manifest, and whether others are there.

    Args:
        folder: of `opened`.
        packed: whether it was a zip file, which has a manifest and no other files.
    """
    path = file_inside(folder, MANIFEST)
    if kind_of(path) is None:
        note = "is missing" if packed else "a run folder has none; `raysearch pack` writes one"
        verdict: Verdict = "fails" if packed else "not checked"
        yield Check(what="files", place=MANIFEST, verdict=verdict, note=note)
        return
    with open_regular(path) as file:
        lines = file.read(_MAX_MANIFEST).decode("utf-8", "replace").splitlines()
    listed: set[str] = {MANIFEST}
    for number, line in enumerate(lines, 1):
        if (match := _LINE.fullmatch(line)) is None:
            note = "no line of a manifest: a hash, two spaces and a name are needed"
            yield Check(what="files", place=f"{MANIFEST} line {number}", verdict="fails", note=note)
            continue
        digest, name = match.groups()
        listed.add(name)
        yield _file_check(folder, name, digest)
    for name in _other_files(folder, listed) if packed else ():
        yield Check(what="files", place=name, verdict="fails", note="is not in the manifest")


def _file_check(folder: Path, name: str, digest: str) -> Check:
    """Return whether a file has the hash that the manifest gives."""
    try:
        with open_regular(file_inside(folder, *name.split("/"))) as file:
            digest_here = hashlib.file_digest(file, "sha256").hexdigest()
    except InputError as error:
        return Check(what="files", place=name, verdict="fails", note=error.problems[0].text)
    except OSError as error:
        note = f"cannot be read: {error.strerror}"
        return Check(what="files", place=name, verdict="fails", note=note)
    return Check.equal("files", name, digest, digest_here)


def _other_files(folder: Path, listed: set[str]) -> list[str]:
    """Return the files in a folder that are not listed."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name not in listed)
