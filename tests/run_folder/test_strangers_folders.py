"""Run folders of strangers, and runs that end early: nothing is followed, left or lost."""

import errno
import itertools
import json
import os
import shutil
import subprocess
from contextlib import suppress

import pytest
from support.run_folders import Script, write_study
from typer.testing import CliRunner

from raysearch import results, search, storage, study
from raysearch.cli import commands
from raysearch.errors import InputError, Problem, RaysearchError
from raysearch.results.table_formats import to_csv, to_json, to_latex, to_markdown
from raysearch.results.table_rows import Cell, Row, Table
from raysearch.run_folder import JOURNAL_NAME, Journal, opening, read_journal
from raysearch.search import run_start, run_study

TOY = "toy/grammar"
STUDY = {"name": "toy", "tasks": [TOY], "model": "scratch:1x64",
         "space": {"LR": {"choice": [1e-4, 2e-4]}}, "search": {"trials": 2}}  # fmt: skip
FACTS = {"raysearch": "0.1.1", "data": "/data", "content": {TOY: "x"},
         "lanes": {"count": 1, "workers": 1, "cpus": 1, "gpus": None}}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run of two trials, whole, in a folder beside a file and a folder of the user; their ids are
    names."""
    monkeypatch.setattr("raysearch.run_folder.trial_identity._has_matching_id", lambda *_: True)
    place = tmp_path / "runs" / "toy"
    write_study(place, **STUDY)
    (place / "provenance.json").write_text(json.dumps(FACTS))
    script = Script(place)
    for rate, score in ((1e-4, 0.8), (2e-4, 0.7)):
        script.trial(TOY, {"LR": rate}, {"accuracy": score})
    script.close()
    (tmp_path / "victim").write_text("my thesis\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "events.out.tfevents.0000000001").write_text("of another run\n")
    return place


def command(*arguments):
    result = CliRunner().invoke(commands.app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


LINKS = ("table.md", "table.csv", "toy-grammar", "toy-grammar/best.yaml", "journal.jsonl",
         "study.yaml", "toy-grammar/trials.parquet", "toy-grammar/tensorboard",
         "toy-grammar/tensorboard/search-0000-t0")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LINKS)
def test_a_link_in_a_run_folder_is_refused_by_name_and_not_followed(folder, tmp_path, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    is_folder = name in ("toy-grammar", LINKS[-2], LINKS[-1])
    victim = tmp_path / ("other" if is_folder else "victim")
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    before = {p: p.read_text() for p in tmp_path.glob("other/*")}
    code, _, said = command("table", folder)
    assert code == 2
    assert name.split("/")[-1] in said
    assert "symbolic link" in said
    assert (tmp_path / "victim").read_text() == "my thesis\n"
    assert {p: p.read_text() for p in tmp_path.glob("other/*")} == before


def test_a_linked_event_file_is_not_emptied(folder, tmp_path):
    place = folder / "toy-grammar" / "tensorboard" / "search-0000-t0"
    place.mkdir(parents=True)
    (place / "events.out.tfevents.0000000001").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="symbolic link"):
        results.write_exports(folder)
    assert (tmp_path / "victim").read_text() == "my thesis\n"


def test_a_run_folder_that_is_reached_through_a_link_is_the_users_choice(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert command("table", tmp_path / "link")[0] == 0
    assert (folder / "table.md").is_file()


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "a\\b", "a\nb", "\0", "x" * 256, "\ud800"])
def test_no_part_of_a_path_leads_elsewhere(tmp_path, part):
    with pytest.raises(InputError, match="is no name"):
        storage.inside(tmp_path, part)


def test_a_pipe_or_a_file_in_a_folders_place_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a pipe"):
        storage.inside(tmp_path, "pipe")
    with pytest.raises(InputError, match="is a file"):
        storage.inside(tmp_path, "file", "below")
    with pytest.raises(InputError, match="is gone"):
        storage.folder_inside(tmp_path / "moved", "toy")


@pytest.mark.parametrize("left", ["nothing", "no trial"])
def test_good_tables_are_not_written_over_without_the_journal_that_they_came_from(folder, left):
    results.write_exports(folder)
    (folder / JOURNAL_NAME).unlink()
    if left == "no trial":
        (folder / JOURNAL_NAME).write_text("")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in (("table", folder), ("resume", folder)):
        code, _, said = command(*words)
        assert code == 2
        assert JOURNAL_NAME in said
        assert "restore it" in said
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_table_that_cannot_be_written_is_printed_all_the_same(folder, monkeypatch, number):
    def refuse(path, *_):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("raysearch.results.export.write_atomically", refuse)
    code, out, said = command("table", folder)
    assert code == 0
    assert "| Result | 80.0 |" in out
    assert f"not written: {os.strerror(number)}" in said
    assert not (folder / "table.md").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": 5}, "data"), ({"data": "a\x1b[2J"}, "control characters"),
        ({"raysearch": None}, "raysearch"), ({"content": []}, "content"),
        ({"content": {TOY: 1}}, TOY), ({"lanes": "many"}, "lanes"),
        ({"lanes": {"workers": 0}}, "workers"), ({"lanes": {"workers": True}}, "workers"),
        ({"lanes": {"count": "1"}}, "count"), ({"lanes": {"cpus": -1}}, "cpus"),
        ({"lanes": {"gpus": 1e300}}, "gpus"), ({"lanes": {"more": 1}}, "more"),
    ],
)  # fmt: skip
def test_a_provenance_of_other_types_is_refused_by_field(folder, change, text):
    (folder / "provenance.json").write_text(json.dumps({**FACTS, **change}))
    with pytest.raises(InputError, match=text):
        run_start.read_start(folder)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"{", b'{"a":' * 9000, b"\xff\xfe", b'{"data": NaN}',
                b" " * (2**20 + 1)]
)  # fmt: skip
def test_a_provenance_that_is_none_is_refused(folder, content):
    (folder / "provenance.json").write_bytes(content)
    with pytest.raises(InputError, match=r"provenance\.json"):
        run_start.read_start(folder)


def test_trials_that_cannot_be_of_the_study_are_refused_together(folder):
    script = Script(folder)
    script.trial("glue/rte", {"LR": 1e-4}, {"accuracy": 0.5})
    script.trial(TOY, {"LR": "high"}, {"accuracy": 0.5})
    script.trial(TOY, {"LR": 1e-4}, {"mcc": 0.5})
    script.close()
    with pytest.raises(InputError) as refusal:
        results.write_exports(folder)
    problems = {problem.location: problem.text for problem in refusal.value.problems}
    assert set(problems) == {"trial t2", "trial t3", "trial t4"}
    assert "no task of study.yaml" in problems["trial t2"]
    assert "LR" in problems["trial t3"]
    assert "dev.accuracy" in problems["trial t4"]


def test_a_point_outside_the_space_is_refused_before_a_sampler_is_told(folder):
    script = Script(folder)
    script.trial(TOY, {"LR": 5e-4}, {"accuracy": 0.5})
    searched = study.load(folder / "study.yaml")
    with pytest.raises(InputError, match="not in the space"):
        opening.refuse_misfits(folder, searched, script.journal, resumed=True)


# Runs that do not begin.


@pytest.fixture
def ready(tmp_path, monkeypatch):
    """A study that could run, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_start, "run_problems", lambda *_: [])
    monkeypatch.setattr(run_start, "content_of", lambda *_: {TOY: "x"})
    return study.parse(STUDY)


def refusing(error):
    def begin(*_, **__):
        raise error

    return begin


@pytest.mark.parametrize("name", ["..", ".", "", "a/../..", "/tmp/x", "-x", ".x", "a\0b", "a\nb",
                                  "x" * 300, " x", "\x1b[31m"])  # fmt: skip
def test_a_name_that_is_no_folders_is_refused_and_nothing_is_touched(ready, tmp_path, name):
    (tmp_path / "thesis.tex").write_text("mine\n")
    with pytest.raises(InputError) as refusal:
        search.run(ready, name=name)
    assert [problem.location for problem in refusal.value.problems] == ["name"]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["", "  ", "a\0b", "a\x1bb"])
def test_a_storage_that_is_no_folder_is_refused(ready, place):
    with pytest.raises(InputError, match="a folder or a URI is needed"):
        search.run(ready, storage=place)


ENDS = [InputError("toy", [Problem(location="model", text="none")]), SystemExit(1),
        KeyboardInterrupt(), RaysearchError("no Ray"), OSError(28, "No space left")]  # fmt: skip


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_a_start_that_fails_or_is_interrupted_leaves_no_folder(ready, tmp_path, monkeypatch, error):
    monkeypatch.setattr(run_study, "_engine", refusing(error))
    for _ in range(2):  # the second is not refused because of the first
        with pytest.raises(type(error)) as end:
            search.run(ready)
        assert end.value is error
    assert not (tmp_path / "runs" / "toy").exists()


def test_what_others_put_into_a_folder_stays_when_a_start_fails(ready, tmp_path, monkeypatch):
    def begin(folder, *_):
        (folder / "notes.txt").write_text("mine\n")
        raise RaysearchError("Ray does not start")

    monkeypatch.setattr(run_study, "_engine", begin)
    with pytest.raises(RaysearchError, match="Ray does not start"):
        search.run(ready)
    assert [p.name for p in (tmp_path / "runs" / "toy").iterdir()] == ["notes.txt"]


def test_a_start_that_was_killed_gives_way_and_one_that_runs_does_not(ready, tmp_path, monkeypatch):
    place = tmp_path / "runs" / "toy"
    place.mkdir(parents=True)
    storage.mark(place)
    write_study(place, **STUDY)  # killed before the provenance
    script = Script(place)
    script.begin(TOY, {"LR": 1e-4})
    with pytest.raises(InputError, match="another raysearch is running here"):
        search.run(ready)
    assert len(read_journal(place).trials) == 1
    script.close()
    begun = []
    monkeypatch.setattr(
        run_study, "_engine", lambda folder, *_: begun.append(read_journal(folder).trials)
    )
    search.run(ready)
    assert begun == [{}]
    assert (place / "provenance.json").is_file()


@pytest.mark.parametrize("how", ["trained", "a file of the user", "no marker"])
def test_a_folder_with_anything_worth_keeping_is_taken(ready, tmp_path, how):
    place = tmp_path / "runs" / "toy"
    write_study(place, **STUDY)
    if how != "no marker":
        storage.mark(place)
    script = Script(place)
    name = script.begin(TOY, {"LR": 1e-4})
    if how == "trained":
        script.attempt(name)
    if how == "a file of the user":
        (place / "notes.txt").write_text("mine\n")
    script.close()
    before = {path: path.read_bytes() for path in place.rglob("*")}
    with pytest.raises(InputError, match="is there already; go on with `raysearch resume"):
        search.run(ready)
    assert {path: path.read_bytes() for path in place.rglob("*")} == before


def test_a_failed_start_does_not_clear_a_folder_that_took_its_place(ready, tmp_path, monkeypatch):
    def begin(folder, *_):
        folder.rename(tmp_path / "moved")
        write_study(folder, **STUDY)
        raise RaysearchError("Ray does not start")

    monkeypatch.setattr(run_study, "_engine", begin)
    with pytest.raises(RaysearchError):
        search.run(ready)
    assert (tmp_path / "runs" / "toy" / "study.yaml").is_file()


def test_a_resume_during_a_run_is_told_before_data_is_read(folder, monkeypatch):
    monkeypatch.setattr(run_start.preflight, "survey", lambda *_: pytest.fail("data was read"))
    running = Journal(folder)
    with pytest.raises(InputError, match="another raysearch is running here"):
        search.resume(folder)
    running.close()


# What is removed.


def test_only_what_a_run_has_marked_is_removed(tmp_path):
    mine, other, bare = (tmp_path / name for name in ("mine", "other", "bare"))
    for place in (mine, other, bare):
        place.mkdir()
        (place / "weights").write_text("x")
    run = storage.mark(mine)
    storage.mark(other)
    assert [storage.remove_owned(place, run) for place in (mine, other, bare)] == [
        True, False, False]  # fmt: skip
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["bare", "other"]
    assert storage.clear_place(bare, run).name == "bare.kept-1"
    assert (tmp_path / "bare.kept-1" / "weights").read_text() == "x"


def test_a_link_to_a_marked_folder_is_no_marked_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    run = storage.mark(tmp_path / "mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert not storage.remove_owned(tmp_path / "link", run)
    with pytest.raises(InputError, match="is a symbolic link"):
        storage.remove_tree(tmp_path / "link")
    assert (tmp_path / "mine" / storage.MARKER).is_file()


@pytest.mark.parametrize("content", ["", "[]", '{"run": 5}', '{"run": "../.."}', "x" * 10_000])
def test_a_marker_that_names_no_run_marks_nothing(tmp_path, content):
    (tmp_path / storage.MARKER).write_text(content)
    assert storage.owner(tmp_path) is None


def test_a_folder_takes_anothers_place_whole(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "is").write_text(name)
    storage.take_place(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old" / "is").read_text() == "new"


# What is printed.

HOSTILE = ("=cmd|'/c calc'!A1", "+1+cmd", "-2+3+cmd", "@SUM(A1)", "\t=1", "<img src=x>",
           "![x](http://x/y.png)", "\x1b[2J", "\x9b31m", "a\nb", "\u202egnp.exe")  # fmt: skip


def test_texts_of_others_are_plain_text_in_every_layout():
    rows = tuple(Row(name=text, cells=(Cell(text),), system=text) for text in HOSTILE)
    made = Table(title=HOSTILE[7], columns=(HOSTILE[0],), rows=rows, notes=HOSTILE)
    for layout in (to_markdown, to_latex, to_csv, to_json):
        text = layout(made)
        assert all(letter == "\n" or letter.isprintable() for letter in text)
    assert "<img" not in to_markdown(made)
    assert "![" not in to_markdown(made)
    cells = [cell.strip('"') for line in to_csv(made).splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert json.loads(to_json(made))["notes"] == list(HOSTILE)


@pytest.mark.parametrize("text", ["-", "-0.5", "+0.3", "-1.2e-5", "-0.5/+0.3", "-/-", "90.5", ""])
def test_numbers_stay_numbers_in_a_spreadsheet(text):
    made = Table(title="t", columns=("RTE",), rows=(Row(name="r", cells=(Cell(text),)),))
    assert to_csv(made).splitlines()[1] == f"r,{text}"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small file system")
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def begin_for_ever(script):
    for number in itertools.count(2):
        script.begin(TOY, {"LR": 1e-4}, name=f"t{number}")


def test_a_disk_that_fills_loses_nothing_that_has_ended(folder, small_disk):
    place = shutil.copytree(folder, small_disk / "toy")
    results.write_exports(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    script = Script(place)
    with (small_disk / "fill").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with pytest.raises(OSError, match="No space"):
        begin_for_ever(script)
    with pytest.raises(OSError, match="No space"):
        results.write_exports(place)
    assert read_journal(place).trials == script.journal.trials
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    assert {p.name for p in place.rglob("*")} == {p.name for p in before} | {
        "toy-grammar", "tensorboard", "search-0000-t0", "search-0001-t1"}  # fmt: skip
    (small_disk / "fill").unlink()
    script.trial(TOY, {"LR": 2e-4}, {"accuracy": 0.9}, name="last")
    script.close()
    results.write_exports(place)
    assert (read_journal(place).trials["last"].score, read_journal(place).trials["t0"].score) == (
        0.9,
        0.8,
    )
