"""Packs of strangers: broken zip files, and broken files in a zip file that is whole."""

import hashlib
import io
import stat
import sys
import warnings
import zipfile
from pathlib import Path
from random import Random

from raysearch.results.pack import pack
from raysearch.results.research_crate import MANIFEST
from raysearch.verification import verify

from . import mutations
from .harness import Input

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does for tests/support

from support.written_runs import write_data, write_run

NAMES = ("../x", "/tmp/x", "a/../../x", "a\\x", "\0", "x" * 300, "\x1b[2J", "study.yaml", "a/" * 50)
MODES = (stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFDIR, 0)


class Packs:
    """Packs that are verified without training."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, write_data(folder / "data")
        self.path = folder / "broken.zip"
        pack(write_run(folder / "run", self.data), folder / "run.zip")
        self.content = (folder / "run.zip").read_bytes()
        with zipfile.ZipFile(folder / "run.zip") as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        self.path.write_bytes(self.content)
        self._verify()  # what is imported is no part of an input's time

    def draw(self, random: Random) -> Input:
        """Return a broken pack."""
        way = random.choice(("bytes", "file", "file", "file", "entry"))
        if way == "bytes":
            shown, content = way, mutations.of_bytes(self.content, random)
        else:
            shown, content = self._rewritten(way, random)
        self.path.write_bytes(content)
        return Input(shown=shown, read=self._verify)

    def _rewritten(self, way: str, random: Random) -> tuple[str, bytes]:
        """Return a zip file with a broken file that the manifest knows, or with a strange entry."""
        files, stream = dict(self.files), io.BytesIO()
        name = random.choice(sorted(files))
        entry = zipfile.ZipInfo(name if way == "file" else random.choice(NAMES))
        if way == "file":
            before, files[name] = files.pop(name), mutations.of_bytes(self.files[name], random)
            hashes = (hashlib.sha256(c).hexdigest().encode() for c in (before, files[name]))
            if name != MANIFEST:
                files[MANIFEST] = files[MANIFEST].replace(*hashes)
        else:
            entry.external_attr = random.choice(MODES) << 16
        with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name twice: as strange as the others
            for known, content in files.items():
                archive.writestr(known, content)
            if way == "entry":
                archive.writestr(entry, b"/etc/passwd")
        return (
            f"{way} {entry.filename!r} {files.get(entry.filename, b'')[:200]!r}",
            stream.getvalue(),
        )

    def _verify(self) -> None:
        result = verify(self.path, data=self.data, to=self.folder / "to", rerun=False)
        "\n".join(result.lines()).encode()
