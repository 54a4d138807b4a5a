"""The description of a packed run as an RO-Crate 1.1: one JSON-LD file, for archives and search.

It is apart from `pack` because it opens no file. The format: https://w3id.org/ro/crate/1.1.
"""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from .. import tasks
from ..run_folder import Records
from ..study import Study

FILE_NAME = "ro-crate-metadata.json"
MANIFEST = "manifest-sha256.txt"  # as `sha256sum -c` reads it
_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_TERMS = {"sha256": "http://schema.org/sha256"}  # newer than RO-Crate 1.1
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"  # of a program that ran once
_NO_LICENCE, _SOFTWARE = "#no-licence", "#raysearch"
_ENCODINGS = {
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".csv": "text/csv",
    ".html": "text/html",
    ".lock": "text/plain",
    ".txt": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".db": "application/vnd.sqlite3",
}

Entity = dict[str, Any]


def crate(
    study: Study,
    records: Records,
    facts: Mapping[str, Any],
    files: Mapping[str, tuple[int, str]],
    *,
    whole: bool,
    licence: str | None,
) -> str:
    """Return the content of ro-crate-metadata.json.

    Args:
        study: the study of the run, with the names of the pack.
        records: its trials.
        facts: its provenance.
        files: name -> size in bytes and SHA-256.
        whole: whether all trials are over.
        licence: the URL of the licence that the user chose; None if none was.
    """
    began, ended = _times(records, facts)
    sources = _sources(study, facts)
    entities = [
        _descriptor(),
        _root(study, ended, files, licence),
        *_licence(licence),
        {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        _action(study, began, ended, files, sources, whole=whole),
        *_software(facts),
        *sources,
        *(_file(name, size, digest) for name, (size, digest) in files.items()),
        _manifest(),
    ]
    graph = {"@context": [_CONTEXT, _TERMS], "@graph": entities}
    return json.dumps(graph, indent=2, ensure_ascii=True) + "\n"


def _references(entities: list[Entity]) -> list[Entity]:
    return [{"@id": entity["@id"]} for entity in entities]


def _files(names: Iterable[str]) -> list[Entity]:
    return [{"@id": quote(name)} for name in names]


def _times(records: Records, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return when the first session began and the last one ended, in ISO 8601."""
    if not records.sessions:
        began = facts.get("began")
        began = began if isinstance(began, str) else _iso(0.0)
        return began, began
    first, last = records.sessions[0], records.sessions[-1]
    return _iso(first.at), _iso(last.until or last.at)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def _descriptor() -> Entity:
    return {
        "@id": FILE_NAME,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }


def _root(
    study: Study, ended: str, files: Mapping[str, tuple[int, str]], licence: str | None
) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{study.name}: a hyperparameter search",
        "description": (
            f"The search of fine-tuning hyperparameters of {study.model} on"
            f" {', '.join(study.tasks)}: study, provenance, every trial, results and dev"
            " predictions. The data is not part of it."
        ),
        "datePublished": ended,
        "license": {"@id": licence or _NO_LICENCE},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _files((*files, MANIFEST)),
        "mentions": {"@id": "#run"},
    }


def _licence(licence: str | None) -> list[Entity]:
    """Return the entity of the licence; without one, a text that says so."""
    if licence:
        return [{"@id": licence, "@type": "CreativeWork", "name": licence, "url": licence}]
    text = "The authors of this run have not chosen a licence; ask them before you use it further."
    return [
        {
            "@id": _NO_LICENCE,
            "@type": "CreativeWork",
            "name": "No licence chosen",
            "description": text,
        }
    ]


def _action(
    study: Study,
    began: str,
    ended: str,
    files: Mapping[str, tuple[int, str]],
    sources: list[Entity],
    *,
    whole: bool,
) -> Entity:
    """Return the run itself: what was run, on what, with which results."""
    read = ("study.yaml",)
    status = "CompletedActionStatus" if whole else "ActiveActionStatus"
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"raysearch run {study.name}",
        "description": "Search, confirmation of the best configurations over seeds, and export.",
        "startTime": began,
        "endTime": ended,
        "actionStatus": f"http://schema.org/{status}",
        "instrument": {"@id": _SOFTWARE},
        "object": [*_files(read), *_references(sources)],
        "result": _files(name for name in files if name not in read),
    }


def _software(facts: Mapping[str, Any]) -> list[Entity]:
    """Return raysearch and the packages whose versions the provenance records."""
    packages = facts.get("packages")
    versions = {"Python": facts.get("python"), **(packages if isinstance(packages, dict) else {})}
    required = []
    for name, version in sorted(versions.items()):
        page = (
            "https://www.python.org/" if name == "Python" else f"https://pypi.org/project/{name}/"
        )
        if isinstance(version, str):
            entity = {"@id": page, "@type": "SoftwareApplication", "name": name, "url": page}
            required.append(entity | {"softwareVersion": version})
    commit = facts.get("commit")
    version = f"{facts['raysearch']}" + (f" (commit {commit})" if commit else "")
    own = {
        "@id": _SOFTWARE,
        "@type": "SoftwareApplication",
        "name": "raysearch",
        "softwareVersion": version,
        "softwareRequirements": _references(required),
    }
    return [own, *required]


def _sources(study: Study, facts: Mapping[str, Any]) -> list[Entity]:
    """Return the model and the data of each task, which are not in the pack, by their hashes."""
    entities = []
    for name in study.tasks:
        identity = facts["content"].get(name, "")
        entities.append(
            {
                "@id": f"#input-{tasks.slug_of(name)}",
                "@type": "CreativeWork",
                "name": f"{name}, and the model {study.resolve(name).origin}",
                "description": "Not part of this pack; provenance.json has their SHA-256.",
                "identifier": identity,
            }
        )
    return entities


def _file(name: str, size: int, digest: str) -> Entity:
    suffix = PurePosixPath(name).suffix
    return {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        "contentSize": str(size),
        "sha256": digest,
        "encodingFormat": _ENCODINGS.get(suffix, "application/octet-stream"),
    }


def _manifest() -> Entity:
    """Return the entity of the manifest, which is written last: its own hash stands nowhere."""
    text = "The SHA-256 of every other file, for `sha256sum -c`."
    encoding = _ENCODINGS[".txt"]
    return {
        "@id": MANIFEST,
        "@type": "File",
        "name": MANIFEST,
        "description": text,
        "encodingFormat": encoding,
    }
