"""A run folder kept on a remote file system: whatever pyarrow reaches, S3 and GCS among them.

The run works on a local folder; its changed files are copied after it, the journal among them, so
that a run outlives its cluster. What a crash of the whole machine can lose is the last interval."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from pyarrow import fs

from ..errors import InputError, Problem
from ..journal import NAME
from ..prepare import cache_folder

EVERY = 20.0  # seconds between copies


class Mirror:
    """Copies a local run folder to a remote one while it changes.

    Args:
        uri: of the run folder, for example s3://bucket/runs/rte.

    Raises:
        InputError: no file system of that kind, or it does not answer.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._system, self._root = fs.FileSystem.from_uri(self.uri)
            self.exists = self._file(NAME).type == fs.FileType.File
        except (OSError, ValueError) as error:
            text = f"cannot reach '{uri}': {str(error).splitlines()[0]}"
            raise InputError("storage", [Problem(place="storage", text=text)]) from None
        self.folder = cache_folder() / "runs" / self.uri.replace("://", "-").replace("/", "-")
        self._copied: dict[str, tuple[int, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def fetch(self) -> Path:
        """The run folder as it is remotely, on this machine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fs.copy_files(self._root, str(self.folder), source_filesystem=self._system)
        return self.folder

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.copy()

    def copy(self) -> None:
        """Copy what has changed since the last copy; what is gone here goes there."""
        present = {p.relative_to(self.folder).as_posix(): p for p in _files(self.folder)}
        for name, path in present.items():
            facts = path.stat()
            stamp = (facts.st_size, facts.st_mtime_ns)
            if self._copied.get(name) != stamp:
                self._upload(path, f"{self._root}/{name}")
                self._copied[name] = stamp
        for name in set(self._copied) - set(present):
            self._system.delete_file(f"{self._root}/{name}")
            del self._copied[name]

    def _keep(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.copy()
            except OSError:
                continue  # the next interval tries again, the last copy says what is wrong

    def _upload(self, path: Path, target: str) -> None:
        self._system.create_dir(target.rpartition("/")[0], recursive=True)
        with path.open("rb") as source, self._system.open_output_stream(target) as sink:
            while block := source.read(1 << 22):
                sink.write(block)

    def _file(self, name: str) -> fs.FileInfo:
        return self._system.get_file_info(f"{self._root}/{name}")


def is_remote(storage: str) -> bool:
    """Whether a storage path is a URI."""
    return "://" in storage


def _files(folder: Path) -> list[Path]:
    """Whole files: not those that are being written."""
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".writing"]
