"""The journal: what is written is there again, whatever happens to the process or to the disk."""

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.run_folders import Script

from raysearch import run_folder
from raysearch.errors import InputError
from raysearch.run_folder import JOURNAL_NAME, TORN_NAME, Journal, read_journal
from raysearch.run_folder.events import (
    EVENTS,
    EndEvent,
    RepeatEvent,
    SessionEvent,
    StoredEndEvent,
    TrialEvent,
    from_json,
    to_json,
)

RTE = "glue/rte"


def trial_event(name):
    return TrialEvent(trial=name, number=0, task=RTE, phase="search", configuration={}, seed=1)


def two_trials(folder):
    script = Script(folder)
    script.trial(RTE, {"LR": 1e-5}, {"accuracy": 0.8})
    script.trial(RTE, {"LR": 2e-5}, {"accuracy": 0.7})
    script.close()
    return folder / JOURNAL_NAME


def test_what_is_written_is_read_back(tmp_path):
    two_trials(tmp_path)
    one, two = read_journal(tmp_path).of(RTE)
    assert (one.id, one.number, one.configuration, one.status) == (
        "t0", 0, {"LR": 1e-5}, "finished"
    )  # fmt: skip
    assert (one.score, one.best, one.last) == (0.8, {"dev.accuracy": 0.8}, {"dev.accuracy": 0.8})
    assert [report.step for report in one.reports] == [50, 100]
    assert (one.seconds, one.device_hours, one.attempts) == (36.0, 0.01, 1)
    assert two.score == 0.7
    assert one.is_over
    assert read_journal(tmp_path).of("glue/mrpc") == []


def test_the_writer_holds_what_a_reader_reads(tmp_path):
    script = Script(tmp_path)
    script.trial(RTE, {"LR": 1e-5, "WARMUP": {"steps": 3}}, {"accuracy": 0.8})
    assert read_journal(tmp_path).trials == script.journal.trials


def test_a_run_without_a_journal_has_no_trials(tmp_path):
    assert read_journal(tmp_path).trials == {}


@pytest.mark.parametrize("lost", [1, 2, 40])
def test_a_torn_last_line_is_left_out_and_written_over(tmp_path, lost):
    path = two_trials(tmp_path)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[:-lost])
    assert [r.status for r in read_journal(tmp_path).of(RTE)] == ["finished", "running"]
    again = Journal(tmp_path)
    again.write(RepeatEvent(trial="t0", at=1.0))
    again.close()
    assert path.read_bytes().startswith(whole[: -len(last)] + b'{"event":"repeat"')
    assert read_journal(tmp_path).trials["t0"].repeats == 1


def test_zeros_that_a_power_cut_leaves_at_the_end_are_cut_off(tmp_path):
    path = two_trials(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(4096))
    Journal(tmp_path).close()
    assert path.read_bytes() == whole


def test_a_damaged_line_before_the_last_is_refused_with_its_number(tmp_path):
    path = two_trials(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = b"}" + lines[3]
    path.write_bytes(b"".join(lines))
    for open_it in (read_journal, Journal):
        with pytest.raises(InputError, match="line 4"):
            open_it(tmp_path)
    assert path.read_bytes() == b"".join(lines)


def test_events_of_a_later_version_are_passed_over(tmp_path):
    path = two_trials(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"event":"telegram","trial":"t0","at":5}\n')
    assert len(read_journal(tmp_path).trials) == 2


def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(tmp_path):
    path = two_trials(tmp_path)
    before = path.read_bytes()
    again = Journal(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="too large"):
                again.write(RepeatEvent(trial="t0", at=1.0))
            assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert again.trials["t0"].repeats == 0
    again.write(RepeatEvent(trial="t1", at=2.0))
    again.close()
    assert [r.repeats for r in read_journal(tmp_path).of(RTE)] == [0, 1]


def test_an_event_that_the_disk_does_not_confirm_did_not_happen(tmp_path, monkeypatch):
    path = two_trials(tmp_path)
    before, again = path.read_bytes(), Journal(tmp_path)

    def broken(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="No space"):
            again.write(RepeatEvent(trial="t0", at=1.0))
    assert path.read_bytes() == before
    assert again.trials["t0"].repeats == 0


def test_an_event_that_could_not_be_taken_back_is_taken_back_later(tmp_path, monkeypatch):
    path = two_trials(tmp_path)
    again, size = Journal(tmp_path), path.stat().st_size

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        broken.setattr("raysearch.run_folder.journal.truncate_file", full)
        with pytest.raises(OSError, match="No space"):
            again.write(RepeatEvent(trial="t0", at=1.0))
    assert path.stat().st_size > size
    again.write(RepeatEvent(trial="t0", at=1.0))
    again.close()
    assert read_journal(tmp_path).trials["t0"].repeats == 1


@pytest.mark.parametrize("change", ["longer", "shorter"])
def test_a_journal_that_another_process_changed_is_left_as_it_is(tmp_path, change):
    path = two_trials(tmp_path)
    again, whole = Journal(tmp_path), path.read_bytes()
    other = whole + b'{"event":"repeat"}\n' if change == "longer" else whole[:-40]
    path.write_bytes(other)
    with pytest.raises(InputError, match="another process changed it"):
        again.write(RepeatEvent(trial="t0", at=1.0))
    again.close()
    assert path.read_bytes() == other


def test_a_whole_last_line_that_is_no_event_is_refused_and_stays(tmp_path):
    path = two_trials(tmp_path)
    content = path.read_bytes() + b"<html>\n"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no JSON"):
        Journal(tmp_path)
    assert path.read_bytes() == content


def test_a_journal_of_two_names_is_not_written_through_one(tmp_path):
    path = two_trials(tmp_path)
    os.link(path, tmp_path / "backup")
    with pytest.raises(InputError, match="hard link"):
        Journal(tmp_path)


def test_reading_while_writing_sees_whole_events_only(tmp_path):
    script = Script(tmp_path)
    seen = 0
    for number in range(20):
        script.begin(RTE, {"LR": number})
        whole = (tmp_path / JOURNAL_NAME).read_bytes()
        with (tmp_path / JOURNAL_NAME).open("ab") as file:
            file.write(b'{"event":"trial","trial":"half')
        assert len(read_journal(tmp_path).trials) == number + 1 > seen
        seen = number + 1
        (tmp_path / JOURNAL_NAME).write_bytes(whole)


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path):
    first = Journal(tmp_path)
    with pytest.raises(InputError, match="another raysearch is running here"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


@pytest.mark.slow
def test_a_killed_process_leaves_every_event_that_it_had_written(tmp_path):
    code = (
        "import os, sys; from raysearch.run_folder import Journal; from pathlib import Path\n"
        "from raysearch.run_folder.events import TrialEvent\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in range(30):\n"
        "    journal.write(TrialEvent(trial=str(n), number=n, task='glue/rte', phase='search',\n"
        "                             configuration={}, seed=1))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert len(read_journal(tmp_path).of(RTE)) == 30
    Journal(tmp_path).close()


def test_infinities_become_null(tmp_path):
    script = Script(tmp_path)
    name = script.diverged(RTE, {"LR": 1.0})
    assert script.journal.trials[name].reports[-1].loss is None
    assert b"NaN" not in (tmp_path / JOURNAL_NAME).read_bytes()
    for line in (tmp_path / JOURNAL_NAME).read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_new_attempt_keeps_the_reports_up_to_its_checkpoint(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, {"LR": 1e-5})
    script.attempt(name)
    script.report(name, 25, {"accuracy": 0.5})
    script.report(name, 50, {"accuracy": 0.6})
    script.spent(name, 5.0, attempt=1)
    script.spent(name, 7.0, attempt=1)
    script.attempt(name, 2, from_step=25)
    script.report(name, 50, {"accuracy": 0.6}, attempt=2)
    script.spent(name, 3.0, attempt=2)
    record = read_journal(tmp_path).trials[name]
    assert [(r.step, r.attempt) for r in record.reports] == [(25, 1), (50, 2)]
    assert (record.attempts, record.seconds) == (2, 10.0)


def test_an_attempt_that_the_journal_missed_still_counts(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, {"LR": 1e-5})
    script.attempt(name, 1)
    script.attempt(name, 3)
    assert read_journal(tmp_path).trials[name].attempts == 3


def test_device_hours_follow_each_attempts_own_devices(tmp_path):
    script = Script(tmp_path, devices=4)
    name = script.begin(RTE, {"LR": 1e-5})
    script.attempt(name, 1)
    script.spent(name, 900.0, attempt=1)
    script.attempt(name, 2, devices=1)
    script.spent(name, 3600.0, attempt=2)
    assert read_journal(tmp_path).trials[name].device_hours == 2.0


def test_the_pause_between_two_sessions_is_in_neither(tmp_path):
    first = Journal(tmp_path)
    first.write(SessionEvent(at=100.0))
    first.write(trial_event("t0"))
    first.write(RepeatEvent(trial="t0", at=160.0))
    first.write(SessionEvent(at=9000.0))
    first.write(RepeatEvent(trial="t0", at=9030.0))
    spans = [session.until - session.at for session in read_journal(tmp_path).sessions]
    assert spans == [60.0, 30.0]


def test_every_event_is_on_disk_before_it_counts(tmp_path, monkeypatch):
    script, order = Script(tmp_path), []
    script.begin(RTE, {"LR": 1e-5})
    monkeypatch.setattr(os, "fsync", lambda file: order.append("disk"))
    monkeypatch.setattr(run_folder.Records, "apply", lambda self, event: order.append("counts"))
    script.write(RepeatEvent(trial="t0", at=1.0))
    assert order == ["disk", "counts"]


def test_an_event_that_another_follows_at_once_is_on_disk_with_that(tmp_path, monkeypatch):
    script, sizes = Script(tmp_path), []
    script.begin(RTE, {"LR": 1e-5})
    monkeypatch.setattr(os, "fsync", lambda file: sizes.append(os.fstat(file).st_size))
    script.journal.write(RepeatEvent(trial="t0", at=1.0), wait=False)
    assert sizes == []
    assert read_journal(tmp_path).trials["t0"].repeats == 1  # a killed process has not lost it
    script.write(RepeatEvent(trial="t0", at=2.0))
    assert sizes == [(tmp_path / JOURNAL_NAME).stat().st_size]


def test_what_was_torn_is_kept_beside_and_added_to(tmp_path):
    path = two_trials(tmp_path)
    whole = path.read_bytes()
    for torn in (b'{"event":"rep', b'{"event":"spent"\0\0\0\0\n'):
        path.write_bytes(whole + torn)
        read_journal(tmp_path)
        assert path.read_bytes() == whole + torn  # reading changes nothing
        Journal(tmp_path).close()
        assert path.read_bytes() == whole
    assert (tmp_path / TORN_NAME).read_bytes() == b'{"event":"rep\n{"event":"spent"\0\0\0\0\n'


def test_a_first_event_that_was_torn_is_no_stranger(tmp_path):
    (tmp_path / JOURNAL_NAME).write_bytes(b'{"event":"sess')
    Journal(tmp_path).close()
    assert (tmp_path / JOURNAL_NAME).read_bytes() == b""
    assert (tmp_path / TORN_NAME).read_bytes() == b'{"event":"sess'


NO_JOURNALS = {
    "gzip": lambda whole: gzip.compress(whole),
    "utf-16": lambda whole: whole.decode().encode("utf-16"),
    "a text": lambda whole: b"my thesis\n" * 100,
    "one line of text": lambda whole: b"my thesis\n",
    "a line without an end": lambda whole: b"my thesis",
    "JSON of another kind": lambda whole: b"[1, 2]\n",
    "a damaged tail": lambda whole: whole[:-400] + whole[-400:].replace(b'{"', b'\xff"'),
    "NaN": lambda whole: whole.replace(b'"score":0.8', b'"score":NaN'),
    "deep": lambda whole: b'{"a":' * 5000 + b"\n" + whole,
    "long digits": lambda whole: whole.replace(b'"seed":1', b'"seed":' + b"9" * 5000, 1),
}


@pytest.mark.parametrize("kind", NO_JOURNALS)
def test_what_is_no_journal_from_end_to_end_is_refused_and_stays(tmp_path, kind):
    path = two_trials(tmp_path)
    path.write_bytes(content := NO_JOURNALS[kind](path.read_bytes()))
    for open_it in (read_journal, Journal):
        with pytest.raises(InputError, match=r"line \d+") as refusal:
            open_it(tmp_path)
        assert "nothing was changed" in str(refusal.value)
    assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == [JOURNAL_NAME]


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_no_file_of_its_own_is_refused_by_kind(tmp_path, kind):
    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("my thesis\n")
    make = {
        "link": lambda: (folder / JOURNAL_NAME).symlink_to(victim),
        "dangling link": lambda: (folder / JOURNAL_NAME).symlink_to(tmp_path / "new"),
        "pipe": lambda: os.mkfifo(folder / JOURNAL_NAME),
        "folder": lambda: (folder / JOURNAL_NAME).mkdir(),
    }
    make[kind]()
    for open_it in (read_journal, Journal):
        with pytest.raises(InputError, match=rf"{JOURNAL_NAME} +is a"):
            open_it(folder)
    assert victim.read_text() == "my thesis\n"
    assert not (tmp_path / "new").exists()


def test_a_line_or_a_file_of_no_journals_size_is_refused(tmp_path, monkeypatch):
    path = two_trials(tmp_path)
    monkeypatch.setattr("raysearch.run_folder.journal.MAX_LINE", 100)
    with pytest.raises(InputError, match="longer than 100 bytes"):
        read_journal(tmp_path)
    monkeypatch.setattr("raysearch.run_folder.journal.MAX_JOURNAL", path.stat().st_size - 1)
    with pytest.raises(InputError, match="bytes of a journal are read"):
        read_journal(tmp_path)


@pytest.mark.parametrize(
    "identity", ["../../x", "/x", "a/b", "", ".", "A b", "x" * 65, None, 5, {}]
)
def test_no_id_leads_to_another_folder(tmp_path, identity):
    event = {"event": "trial", "trial": identity, "number": 0, "task": RTE, "phase": "search",
             "configuration": {}, "seed": 1}  # fmt: skip
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(event) + "\n")
    with pytest.raises(InputError, match=r"trial\.trial: an id is needed"):
        read_journal(tmp_path)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("trial", "number", "0"), ("trial", "seed", True), ("trial", "seed", -1),
        ("trial", "phase", "tuning"), ("trial", "configuration", [1]), ("trial", "task", None),
        ("trial", "devices", 0), ("trial", "configuration", {"LR": [[[[[[[[[1]]]]]]]]]}),
        ("attempt", "plan", {}), ("attempt", "plan", {"steps": 0}), ("attempt", "at", "now"),
        ("attempt", "attempt", 1.5), ("attempt", "at", 10**400), ("attempt", "at", -1),
        ("report", "scores", None), ("report", "scores", {"dev.accuracy": "x"}),
        ("report", "scores", {"dev.accuracy": None}), ("report", "step", -3),
        ("report", "status", "glorious"), ("report", "loss", "low"), ("report", "steps", 0),
        ("spent", "seconds", "long"), ("spent", "seconds", 1e300),
        ("end", "status", "running"), ("end", "score", None), ("end", "best", 5),
        ("end", "error", ["x"]), ("session", "at", None), ("session", "format", "two"),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_named_with_its_line_and_what_was_seen(
    tmp_path, kind, field, value
):
    path = two_trials(tmp_path)
    lines = path.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if json.loads(line)["event"] == kind)
    lines[index] = json.dumps({**json.loads(lines[index]), field: value})
    path.write_text("\n".join(lines) + "\n")
    for open_it in (read_journal, Journal):
        with pytest.raises(InputError) as refusal:
            open_it(tmp_path)
        assert [p.location for p in refusal.value.problems] == [f"line {index + 1}"]
        first = refusal.value.problems[0].text.splitlines()[0]
        assert first.startswith((f"{kind}.{field}", f"{kind}: a trial that ends"))


def test_every_wrong_line_is_told_at_once_and_many_are_counted(tmp_path):
    path = two_trials(tmp_path)
    path.write_text(path.read_text().replace('"at":', '"at":"x","then":'))
    with pytest.raises(InputError) as refusal:
        read_journal(tmp_path)
    count = sum('"then"' in line for line in path.read_text().splitlines())
    assert sum(problem.count for problem in refusal.value.problems) == count > 8


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"event":"repeat","trial":"unheard","at":1.0}', "not begun"),
        ('{"event":"trial","trial":"t0","number":0,"task":"glue/rte","phase":"search",'
         '"configuration":{},"seed":1}', "begun twice"),
        ('{"event":"end","trial":"t0","at":1.0,"status":"failed"}', "has ended"),
        ('{"event":"lost","trial":"t0"}', "no teacher"),
        ('{"event":"session","at":1.0,"format":99}', "a later raysearch"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_follow_is_refused(tmp_path, line, text):
    path = two_trials(tmp_path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=text):
        read_journal(tmp_path)


def test_kinds_of_a_later_version_are_told(tmp_path):
    path = two_trials(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"event":"telegram","trial":"t0","at":5}\n')
    assert ["telegram" in note for note in read_journal(tmp_path).notes] == [True]


def test_an_event_that_could_not_be_read_back_is_never_written(tmp_path):
    path = two_trials(tmp_path)
    again, before = Journal(tmp_path), path.read_bytes()
    for values in ({"trial": "../x", "at": 1.0}, {"trial": "t0", "at": "now"}):
        with pytest.raises(ValueError, match="repeat"):
            again.write(RepeatEvent(**values))
    assert path.read_bytes() == before


def test_half_a_letter_and_a_huge_text_of_an_error_do_not_harm_the_journal(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, {"LR": 1e-5})
    script.end(name, "failed", None, error="x" * 10**6 + "\ud800 the end")
    error = read_journal(tmp_path).trials[name].error
    assert len(error) < 30_000
    assert error.endswith("\\ud800 the end")


@pytest.mark.parametrize("then", ["moved", "removed", "recreated"])
def test_a_folder_that_is_moved_while_it_is_written_is_told_at_the_next_event(tmp_path, then):
    folder = tmp_path / "run"
    folder.mkdir()
    script = Script(folder)
    script.begin(RTE, {"LR": 1e-5})
    before = (folder / JOURNAL_NAME).read_bytes()
    folder.rename(tmp_path / "moved")
    if then == "removed":
        (tmp_path / "moved" / JOURNAL_NAME).unlink()
    if then == "recreated":
        folder.mkdir()
        (folder / JOURNAL_NAME).write_text("another run\n")
    with pytest.raises(InputError, match=r"moved or removed|taken its place"):
        script.begin(RTE, {"LR": 2e-5})
    assert script.journal.failure is not None
    if then == "recreated":
        assert (folder / JOURNAL_NAME).read_text() == "another run\n"
    elif then == "moved":
        assert not folder.exists()
        assert (tmp_path / "moved" / JOURNAL_NAME).read_bytes() == before


# A journal of every kind of event, written before events had types.
LINES = (Path(__file__).parent / "written_before.jsonl").read_text().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_an_event_is_written_as_it_was_read_byte_for_byte(line):
    event = from_json(json.loads(line))
    if isinstance(event, EndEvent) and '"error"' not in line:
        event = StoredEndEvent(**vars(event))
    assert json.dumps(to_json(event), separators=(",", ":")) == line


def test_every_kind_of_event_has_a_line_that_was_written_before():
    written = {json.loads(line)["event"] for line in LINES}
    assert written == set(EVENTS) - {"sampler"}  # which version 0.1.1 alone wrote


def test_an_event_has_only_the_fields_that_the_product_writes():
    with pytest.raises(TypeError, match="lanes"):
        SessionEvent(at=1.0, lanes=2)


def test_the_end_of_a_teacher_from_the_store_has_no_error():
    values = {"status": "finished", "score": 0.5, "best": {}, "last": {}}
    assert "error" not in to_json(StoredEndEvent(trial="t0", at=1.0, **values))
    assert to_json(EndEvent(trial="t0", at=1.0, **values))["error"] is None


def test_fields_that_are_not_known_do_not_harm(tmp_path):
    path = two_trials(tmp_path)
    before = read_journal(tmp_path).trials
    path.write_text(path.read_text().replace('"at":', '"weather":"fine","at":'))
    assert read_journal(tmp_path).trials == before
