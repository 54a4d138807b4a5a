"""The names of files and folders at a URI, and the folder here that belongs to one.

They are apart because a study may name a model by a URI, and knows no store.
"""

import hashlib
import os
import re
from pathlib import Path

URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def is_remote(storage: str) -> bool:
    """Return whether a storage path is a URI."""
    return URI.match(storage) is not None


def join(storage: str, name: str) -> str:
    """Return the path or URI of a folder in a storage; options of a URI stay at its end."""
    path, query = split_query(storage)
    return f"{path.rstrip('/') if query else path}/{name}{query}"


def normalize(uri: str) -> str:
    """Return a URI without slashes at the end of its path."""
    path, query = split_query(uri)
    return path.rstrip("/") + query


def split_query(uri: str) -> tuple[str, str]:
    """Split a URI before the `?` of its options; of a path or a file's URI all is path."""
    match = URI.match(uri)
    if match is None or match[1].lower() == "file":
        return uri, ""
    path, mark, query = uri.partition("?")
    return path, mark + query


def folder_of(uri: str, kind: str) -> Path:
    """Return the folder of the cache that belongs to a URI alone.

    Args:
        uri: the whole URI; its options count too.
        kind: the folder of the cache that holds it.
    """
    digest = hashlib.sha256(uri.encode()).hexdigest()[:16]
    last = split_query(uri)[0].rpartition("/")[2]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:60].lstrip(".-")
    return cache_folder() / kind / f"{name or 'run'}-{digest}"


def cache_folder() -> Path:
    """Return the folder of prepared data.

    It is RAYSEARCH_CACHE, or raysearch under the user's cache folder.
    """
    folder = os.environ.get("RAYSEARCH_CACHE")
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) if folder else Path(user_cache) / "raysearch"
