"""URIs of S3 against a real server of its protocol, without Ray."""

import time

import pytest
from moto_server import CREDENTIALS, wait_until

from raysearch.errors import InputError
from raysearch.run_folder.remote_files import check_storage, local_copy, open_uri, resume_command
from raysearch.search import remote_sync
from raysearch.search.remote_sync import RemoteSync
from raysearch.storage.uris import folder_of


def uri_of(port, path="bucket/runs", options="&scheme=http"):
    return f"s3://{path}?endpoint_override=127.0.0.1:{port}{options}"


def message(error):
    return " ".join(problem.text for problem in error.value.problems)


@pytest.mark.parametrize("ask", [check_storage, local_copy, RemoteSync])
@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("none/runs", "&scheme=http", "there is no bucket 'none'; make it first"),
        ("/runs", "&scheme=http", "names no bucket; s3://BUCKET/FOLDER would do"),
        ("bucket/runs", "", "a server without TLS needs the option scheme=http"),
        ("bucket/runs", "&scheme=http&secret_key=SECRET", "unknown option 'secret_key'"),
        ("key:SECRET@bucket/runs", "&scheme=http", "a key stands in the s3 URI; leave it out"),
    ],
)
def test_a_uri_that_cannot_work_is_refused_with_what_would_do(
    door, ask, path, options, expected
) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError) as refused:
        ask(uri_of(door.port, path, options))
    assert expected in message(refused)
    assert "SECRET" not in str(refused.value)
    assert time.monotonic() - begin < 10


def test_no_server_and_wrong_credentials_are_told_apart(server, door, tmp_path) -> None:
    with pytest.raises(InputError) as refused:
        check_storage(uri_of(1))
    assert "start the server, or correct endpoint_override" in message(refused)
    server.require_authentication(True)
    try:
        with pytest.raises(InputError) as refused:
            check_storage(uri_of(door.port))
    finally:
        server.require_authentication(False)
    assert "check the credentials" in message(refused)
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)


def test_a_probe_leaves_nothing_and_a_place_without_a_run_is_told(door) -> None:
    uri = uri_of(door.port, "bucket/empty")
    check_storage(uri)
    with pytest.raises(InputError, match="nothing is there"):
        local_copy(uri)
    with pytest.raises(InputError, match="nothing is there"):
        RemoteSync(uri).fetch()


def test_uris_with_other_options_have_other_folders_and_commands_are_for_a_shell(door) -> None:
    first, second = uri_of(door.port), uri_of(door.port + 1)
    assert folder_of(first, "runs") != folder_of(second, "runs")
    assert resume_command(first) == f"raysearch resume '{first}'"
    sync = RemoteSync(uri_of(door.port, "bucket/commands"))
    with sync:
        pass
    assert resume_command(sync.folder) == f"raysearch resume '{sync.uri}'"


def test_weights_that_were_removed_here_do_not_stay_there(door) -> None:
    sync = RemoteSync(uri_of(door.port, "bucket/weights"))
    weights = sync.folder / "rte" / "best" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * (6 << 20))  # in two parts
    (sync.folder / "journal.jsonl").write_text("one\n")
    with sync:
        pass
    system, root = open_uri(sync.uri)
    path = f"{root}/rte/best/model.safetensors"
    assert system.open_input_stream(path).read() == weights.read_bytes()
    weights.unlink()
    sync.copy()
    assert system.get_file_info(path).type.name == "NotFound"


def test_a_store_that_was_away_is_told_and_gets_what_was_written_meanwhile(
    server, door, monkeypatch
) -> None:
    sync, notes = RemoteSync(uri_of(door.port, "bucket/away")), []
    sync.note = notes.append
    system, root = open_uri(uri_of(server.port, "bucket/away"))

    def journal():
        path = f"{root}/journal.jsonl"
        if system.get_file_info(path).type.name == "NotFound":
            return None
        return system.open_input_stream(path).read().decode()

    sync.folder.mkdir(parents=True)
    with sync:
        (sync.folder / "journal.jsonl").write_text("one\n")
        wait_until(lambda: journal() == "one\n")
        door.close()
        try:
            (sync.folder / "journal.jsonl").write_text("one\ntwo\n")
            wait_until(lambda: notes)
            assert "does not answer, it is tried again" in notes[0]
        finally:
            door.open()
        wait_until(lambda: journal() == "one\ntwo\n")
        assert notes[1:] == [f"{sync.uri} answers again"]
    monkeypatch.setattr(remote_sync, "PATIENCE", 1.0)
    again = RemoteSync(sync.uri)
    door.close()
    try:
        with pytest.raises(InputError) as refused, again:
            (sync.folder / "journal.jsonl").write_text("one\ntwo\nthree\n")
    finally:
        door.open()
    assert f"everything is kept in {sync.folder}, and `raysearch resume '{sync.uri}'`" in message(
        refused
    )


def test_an_event_is_there_within_two_seconds_and_a_large_journal_goes_less_often(
    door, monkeypatch
) -> None:
    sync, copies = RemoteSync(uri_of(door.port, "bucket/rate")), []
    upload = sync._upload

    def count(path, name):
        begin = time.monotonic()
        upload(path, name)
        if name == "journal.jsonl":
            copies.append((begin, time.monotonic()))

    monkeypatch.setattr(sync, "_upload", count)
    sync.folder.mkdir(parents=True)
    path = sync.folder / "journal.jsonl"
    with sync:
        written = time.monotonic()
        path.write_text("small\n")
        wait_until(lambda: copies)
        assert copies[0][1] - written < 2
        path.write_bytes(b"x" * remote_sync.JOURNAL_RATE * 3)  # takes 3 s at this rate
        wait_until(lambda: len(copies) == 2)
        with path.open("ab") as file:
            file.write(b"more\n")
        wait_until(lambda: len(copies) == 3)
    assert 2 < copies[2][0] - copies[1][0] < 10
