"""One real run in a store: the store goes and comes back, the driver is killed, it is resumed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moto_server import wait_until
from support.processes import start

from raysearch.run_folder.remote_files import open_uri
from raysearch.storage.uris import folder_of

pytestmark = pytest.mark.ray

STUDY = """
tasks: [toy/grammar]
model: scratch:1x64
space: {LR: {log: [1e-4, 1e-2]}}
fixed: {BSZ: 32, EPOCH: 2, max_length: 32, evaluations: 4}
search: {trials: 6, sampler: random}
confirm: {top: 1, seeds: [11, 12]}
"""
SECRET = "a-secret-of-tests"


def ends(text):
    """The trials that have ended, by the lines of a journal."""
    lines = [line for line in text.splitlines() if line.endswith("}")]
    return [e["trial"] for e in map(json.loads, lines) if e["event"] == "end"]


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command on a machine that has nothing: its cache and its folder are new."""
    folder.mkdir()
    code = "from raysearch.cli.commands import main; main()"
    cache = {"RAYSEARCH_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True,
        timeout=400, env={**os.environ, **cache},
    )  # fmt: skip


def test_a_run_in_a_store_outlives_the_store_and_its_driver(server, door, tmp_path) -> None:
    options = f"?endpoint_override=127.0.0.1:{door.port}&scheme=http"
    uri = f"s3://bucket/search/toy{options}"
    system, root = open_uri(uri.replace(str(door.port), str(server.port)))
    local = folder_of(uri, "runs") / "journal.jsonl"
    output = tmp_path / "out.txt"

    def kept():
        path = f"{root}/journal.jsonl"
        if system.get_file_info(path).type.name == "NotFound":
            return ""
        return system.open_input_stream(path).read().decode()

    (tmp_path / "toy.yaml").write_text(STUDY)
    run = start(tmp_path, "run", "toy.yaml", "--storage", f"s3://bucket/search{options}")
    wait_until(lambda: run.poll() is not None or ends(kept()), 300)
    assert run.poll() is None, output.read_text()[-3000:]
    door.close()
    wait_until(lambda: "does not answer" in output.read_text())
    time.sleep(5)
    door.open()
    wait_until(lambda: "answers again" in output.read_text())
    known = ends(local.read_text())
    time.sleep(2)
    run.kill()
    run.wait()
    assert set(known) <= set(ends(kept())), "a trial that ended is not in the store"

    resumed = command(tmp_path / "resumed", "resume", uri)
    assert resumed.returncode == 0, resumed.stderr[-3000:] + resumed.stdout[-2000:]
    assert f"kept at     {uri}" in resumed.stdout
    ended = ends(kept())
    assert len(ended) == len(set(ended)) == 8
    assert SECRET not in resumed.stdout + resumed.stderr + output.read_text()
    names = [info.path for info in system.get_file_info(_all(root)) if info.is_file]
    assert not [name for name in names if "checkpoints" in name or ".writing" in name]
    stored = b"".join(system.open_input_stream(name).read() for name in names)
    assert SECRET.encode() not in stored

    best = f"s3://bucket/search/toy/toy-grammar/best{options}"
    study = tmp_path / "further.yaml"
    study.write_text(f"{STUDY.replace('scratch:1x64', json.dumps(best))}")
    commands = {
        "table": ["table", uri],
        "report": ["report", uri, "--to", "report.html"],
        "compare": ["compare", uri, uri],
        "pack": ["pack", uri, "--to", "toy.zip", "--weights"],
        "predict": ["predict", uri, "--to", "out", "--split", "dev"],
        "score": ["score", "toy/grammar", "--predictions", uri],
        "verify": ["verify", uri, "--no-rerun"],
        "evaluate": ["evaluate", best, "--tasks", "toy/grammar", "--data", "."],
        "model": ["check", str(tmp_path / "toy.yaml"), "--model", best],
        "study": ["check", str(study)],
    }
    results = {name: command(tmp_path / name, *args) for name, args in commands.items()}
    failed = {n: r.stderr[-600:] for n, r in results.items() if r.returncode}
    assert failed == {}
    assert "accuracy" in results["table"].stdout.lower()
    assert best in results["model"].stdout
    assert "accuracy" in results["evaluate"].stdout
    copy = next((tmp_path / "table" / "cache" / "copies").glob("toy-*/toy-grammar/tensorboard"))
    assert len({path.parent for path in copy.glob("*/events.out.tfevents.*")}) == 8


def _all(root):
    from pyarrow import fs

    return fs.FileSelector(root, recursive=True)
