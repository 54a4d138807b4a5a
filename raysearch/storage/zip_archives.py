"""Zip files: written with the same bytes each time, and unpacked only if nothing in them is unsafe.

They are apart from `atomic` because a zip file may come from anyone.
"""

import errno
import hashlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, Problem
from .atomic import replaced
from .file_names import component_problem
from .paths import file_inside, folder_inside
from .untrusted_files import open_input, open_regular

MAX_FILES = 20_000  # in a zip file that is unpacked
MAX_DEPTH = 8  # folders above a file
MAX_RATIO = 100  # bytes that one byte of a zip file may become, beside FREE_BYTES
FREE_BYTES = 2**28
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first time that the format can hold
_READABLE = 0o644
_BLOCK = 2**20  # bytes
_ENCRYPTED = 0x1  # in the flags of an entry
# What `zipfile` raises for bytes that are no zip file.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    OverflowError, OSError,
)  # fmt: skip


class ZipWriter:
    """A zip file that is being written; its bytes follow from the names and contents alone.

    Args:
        archive: the open zip file.

    Attributes:
        files: name -> size in bytes and SHA-256 of every file written so far.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, tuple[int, str]] = {}

    def add(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._archive.writestr(_entry(name), content)
        self.files[name] = len(content), hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, path: Path) -> None:
        """Add a copy of a regular file, which is read block by block.

        Raises:
            InputError: it is a link or a special file.
            OSError: it cannot be read, or the zip file cannot be written.
        """
        digest, size = hashlib.sha256(), 0
        with (
            open_regular(path) as source,
            self._archive.open(_entry(name), "w", force_zip64=True) as target,
        ):
            while block := source.read(_BLOCK):
                target.write(block)
                digest.update(block)
                size += len(block)
        self.files[name] = size, digest.hexdigest()


@contextmanager
def new_zip(path: Path) -> Iterator[ZipWriter]:
    """Yield the writer of a zip file, which is at `path` at the end, or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with (
        replaced(path) as staged,
        zipfile.ZipFile(staged, "x", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        yield ZipWriter(archive)


def unpack(path: Path, folder: Path) -> None:
    """Write the files of a zip file into an empty folder.

    Args:
        path: the zip file.
        folder: an empty folder of the caller.

    Raises:
        InputError: it is no zip file, is damaged, or holds what is not unpacked: a name that leads
            elsewhere, a link, an encrypted file, one name twice, or far more bytes than it has.
        OSError: it is missing, or a file cannot be written.
    """
    with open_input(path) as stream:
        size = path.stat().st_size
        with _as_input_error(path):
            archive = zipfile.ZipFile(stream)
            entries = [entry for entry in archive.infolist() if entry.filename[-1:] != "/"]
        if problems := list(_problems(entries, size)):
            raise InputError(str(path), problems[:12])
        for entry in entries:
            parts = entry.filename.split("/")
            folder_inside(folder, *parts[:-1])
            with (
                file_inside(folder, *parts).open("xb") as target,
                _as_input_error(path, entry),
                archive.open(entry) as source,
            ):
                shutil.copyfileobj(source, target, _BLOCK)


def is_zip(path: Path) -> bool:
    """Return whether a file ends as zip files do."""
    with open_input(path) as stream:
        return zipfile.is_zipfile(stream)


def _problems(entries: list[zipfile.ZipInfo], size: int) -> Iterator[Problem]:
    """Yield why the entries of a zip file of `size` bytes are not unpacked."""
    if len(entries) > MAX_FILES:
        text = f"at most {MAX_FILES:,} files are unpacked, it has {len(entries):,}"
        yield Problem(location="file", text=text)
        return
    total, limit = sum(entry.file_size for entry in entries), FREE_BYTES + MAX_RATIO * size
    if total > limit:
        text = f"its files would take {total:,} bytes; of {size:,} bytes at most {limit:,} are"
        yield Problem(location="file", text=f"{text} unpacked")
    names: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        parts = entry.filename.split("/")
        parents = {"/".join(parts[:count]) for count in range(1, min(len(parts), MAX_DEPTH))}
        problem = _entry_problem(entry, parts)
        if entry.filename in names or entry.filename in folders or parents & names:
            problem = "has the name of another file or folder"
        if problem:
            yield Problem(location=entry.filename[:100] or "file", text=problem)
        names.add(entry.filename)
        folders |= parents


def _entry_problem(entry: zipfile.ZipInfo, parts: list[str]) -> str | None:
    """Return why an entry with the components `parts` is not unpacked; None if it is."""
    if problem := next(filter(None, map(component_problem, parts)), None):
        return f"is no name of a file in this folder: {problem}"
    if len(parts) > MAX_DEPTH:
        return f"at most {MAX_DEPTH} folders within each other are unpacked"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or a special file; only regular files are unpacked"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in a way that raysearch does not write"
    return None


@contextmanager
def _as_input_error(path: Path, entry: zipfile.ZipInfo | None = None) -> Iterator[None]:
    """Raise InputError for what `zipfile` raises for a damaged file."""
    try:
        yield
    except InputError:
        raise
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk, not of the file's content
        location = entry.filename if entry else "file"
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        text = f"damaged, or no zip file: {reason}"
        raise InputError(str(path), [Problem(location=location, text=text)]) from None


def _entry(name: str) -> zipfile.ZipInfo:
    """Return an entry whose time and permissions are always the same."""
    entry = zipfile.ZipInfo(name, _EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, wherever it is written
    entry.external_attr = (stat.S_IFREG | _READABLE) << 16
    return entry
