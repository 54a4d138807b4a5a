"""Trials of other runs answer the same trials of this one: nothing is trained twice."""

import json
import shutil

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file
from support.local_runs import run_locally
from support.small_data import write_rte
from test_trial_queue import HALVES, MRPC, RANGES, RTE, drive, opened, parsed

from raysearch import study
from raysearch.errors import InputError
from raysearch.results.cost import cost_table
from raysearch.results.leaderboard import leaderboard
from raysearch.results.model_card import trial_of
from raysearch.results.run import open_run
from raysearch.run_folder import JOURNAL_NAME, read_journal
from raysearch.search import reuse
from raysearch.search.reuse import OtherRuns, Reuse
from raysearch.tracking.exporter import tags

RAW = {
    "name": "toy",
    "tasks": [RTE],
    "model": "scratch:1x16:300",
    "space": {"LR": {"choice": [1e-5, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3]}},
    "fixed": {"EPOCH": {"steps": 4}, "BSZ": 8, "evaluations": 2, "max_length": 32},
    "search": {"sampler": "grid", "trials": 3},
}
CONFIRMED = {**RAW, "confirm": {"top": 2, "seeds": [11, 12]}}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)


@pytest.fixture
def data(tmp_path):
    write_rte(tmp_path / "data", np.random.default_rng(0))
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path, data, monkeypatch):
    """Runs a study in a folder of this name; returns the folder and the trials it trained."""

    def run(name, raw=RAW, others=()):
        trained = []
        return run_locally(tmp_path / name, data, raw, monkeypatch, others, trained), trained

    return run


def results(folder):
    return {r.id: (r.status, r.score, r.best, r.last) for r in read_journal(folder).trials.values()}


def weights(folder):
    return load_file(folder / "glue-rte" / "best" / "model.safetensors")


def notes(folder):
    return "\n".join(json.loads((folder / "table.json").read_text())["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("raw", [RAW, CONFIRMED])
def test_a_second_study_over_the_same_cells_trains_nothing(run, raw):
    first, trained = run("first", raw)
    second, again = run("second", {**raw, "name": "other"}, [first])
    count = len(trained)
    assert (count, again) == (3 if raw is RAW else 7, [])
    assert results(second) == results(first)
    assert read_journal(second).device_hours == 0
    assert all(r.start_time == r.ended > 1e9 for r in read_journal(second).trials.values())
    ours, theirs = weights(second), weights(first)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert trial_of(second / "glue-rte/best/config.json") == trial_of(
        first / "glue-rte/best/config.json"
    )
    kept = [sorted(p.name for p in (f / "glue-rte/predictions").iterdir()) for f in (first, second)]
    assert kept[0] == kept[1]
    assert f": {count} of {count} trials come from first." in notes(second)
    table = (second / "table.md").read_text()
    assert f"| taken from other runs | {count} |" in table
    assert "95 %" in table
    events = [json.loads(line) for line in (second / JOURNAL_NAME).read_text().splitlines()]
    assert [event["run"] for event in events if event["event"] == "reused"] == ["first"] * count
    third, again = run("third", raw, [second])  # a chain: its cost is that of the training
    assert again == []
    hours = [
        sum(r.training_hours for r in read_journal(folder).trials.values())
        for folder in (first, third)
    ]
    assert hours[0] == pytest.approx(hours[1])


@pytest.mark.slow
def test_the_weights_of_all_seeds_are_taken_where_they_are_kept(run):
    raw = {**CONFIRMED, "search": {**RAW["search"], "keep_weights": "confirmed"}}
    first, _ = run("first", raw)
    second, trained = run("second", raw, [first])
    assert trained == []
    names = [sorted(p.name for p in (f / "glue-rte/seeds").iterdir()) for f in (first, second)]
    assert names[0] == names[1]
    (seed,) = (name for name in names[1] if not name.startswith("."))
    shutil.rmtree(first / "glue-rte/seeds")
    third, trained = run("third", raw, [first])
    assert [record.id for record in trained] == [seed]
    assert (third / "glue-rte/seeds" / seed / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_longer_study_trains_the_rest(run):
    first, _ = run("first")
    longer = {**RAW, "search": {"sampler": "grid", "trials": 6}}
    second, trained = run("second", longer, [first])
    alone, _ = run("alone", longer)
    assert len(trained) == 3
    assert results(second) == results(alone)
    ours, theirs = weights(second), weights(alone)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert ": 3 of 6 trials come from first." in notes(second)
    assert all("first" in text for text in told(second))
    assert not any("first" in text for text in told(alone))
    text = (second / "reproducibility.md").read_text()
    assert "3 of them are of first, where they took" in text
    assert "the 3 trained here together took" in text


def told(folder):
    """What trials.parquet and exporters tell about the trials that were reused."""
    run = open_run(folder)
    trials = parquet.read_table(folder / "glue-rte" / "trials.parquet")
    column = trials["reused_from"].to_pylist() if "reused_from" in trials.column_names else []
    tagged = (tags(run, record, "key") for record in run.records.trials.values())
    exported = [tag.get("raysearch.reused_from") for tag in tagged]
    return [repr(column), repr(exported)]


@pytest.mark.slow
def test_a_winner_whose_weights_no_run_kept_is_trained_again_and_no_other(run):
    first, _ = run("first")
    winner = trial_of(first / "glue-rte/best/config.json")
    shutil.rmtree(first / "glue-rte/best")
    second, trained = run("second", RAW, [first])
    assert [record.id for record in trained] == [winner]
    assert results(second) == results(first)  # bit for bit, on this CPU
    assert trial_of(second / "glue-rte/best/config.json") == winner
    record = read_journal(second).trials[winner]
    assert (record.reused_from, record.attempts) == ("", 1)
    assert ": 2 of 3 trials come from first." in notes(second)


@pytest.mark.slow
def test_a_trial_whose_predictions_are_needed_and_were_not_kept_is_trained(run):
    first, _ = run("first", {**RAW, "search": {**RAW["search"], "keep_predictions": "none"}})
    second, trained = run("second", RAW, [first])
    assert len(trained) == 3
    _, trained = run("third", {**RAW, "search": {**RAW["search"], "keep_predictions": "none"}},
                         [first])  # fmt: skip
    assert trained == []
    broken = next((second / "glue-rte/predictions").iterdir())
    broken.write_bytes(broken.read_bytes()[:-9])
    _, trained = run("fourth", RAW, [second])
    assert [record.id for record in trained] == [broken.stem]


def toy_folder(folder, raw, content="data"):
    """A run folder of toy trials, without weights and predictions."""
    searched = parsed(**raw)
    queue = opened(searched, folder, content)
    drive(queue)
    queue.journal.close()
    (folder / "study.yaml").write_text(study.dump(searched))
    write_provenance(folder, searched, content)
    return folder


def write_provenance(folder, searched, content, version=None):
    facts = {"raysearch": version or reuse.__version__, "data": "data", "lanes": {},
             "content": dict.fromkeys(searched.tasks, content),
             "study": study.as_mapping(searched)}  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(facts))


def toy(trials=8, **search):
    search = {"sampler": "random", "trials": trials, "keep_predictions": "none", **search}
    return {"space": RANGES, "search": search, "confirm": {"top": 2, "seeds": [11, 12]}}


def reusing(folder, raw, *others, content="data"):
    searched = parsed(**raw)
    queue = opened(searched, folder, content)
    named = OtherRuns([str(other) for other in others], folder.parent)
    assert named.problems == []
    answers = named.answering(searched, dict.fromkeys(searched.tasks, content))
    again = type(queue)(
        searched, queue.journal, dict.fromkeys(searched.tasks, content), reuse=answers
    )
    return again


def test_a_run_killed_after_any_event_of_a_reused_trial_ends_with_the_same_results(tmp_path):
    first = toy_folder(tmp_path / "first", toy(3))
    queue = reusing(tmp_path / "whole", toy(4), first)
    trained = {r.id for r in drive(queue)}
    whole = results(tmp_path / "whole")
    queue.journal.close()
    # One of the search, and of the confirmations those of another configuration, or the winner.
    assert len(trained) < len(whole)
    events = (tmp_path / "whole" / JOURNAL_NAME).read_text().splitlines(keepends=True)
    assert sum('"event":"reused"' in line for line in events) >= 3
    for kept in range(len(events)):
        for again in (True, False):
            folder = tmp_path / f"{kept} {again}"
            folder.mkdir()
            (folder / JOURNAL_NAME).write_text("".join(events[:kept]))
            queue = reusing(folder, toy(4), first) if again else opened(parsed(**toy(4)), folder)
            drive(queue)
            assert results(folder) == whole
            queue.journal.close()


def test_the_stopping_rule_of_this_run_decides_on_trials_of_another(tmp_path):
    lenient, strict = HALVES | {"keep": 0.99}, HALVES | {"keep": 0.3}
    first = toy_folder(tmp_path / "first", toy(stop_early=lenient))
    alone = toy_folder(tmp_path / "alone", toy(stop_early=strict))
    queue = reusing(tmp_path / "second", toy(stop_early=strict), first)
    drive(queue, lanes=1)
    ends = [r.status for r in queue.journal.of(RTE, "search")]
    assert ends == [r.status for r in read_journal(alone).of(RTE, "search")]
    assert ends.count("stopped") > 2
    table = cost_table(queue.study, queue.journal)  # none of it was spent here, nor saved twice
    assert table.row("device hours saved by stopping early").cells[0].value == 0
    assert table.row("device hours saved by that").cells[0].value > 0
    stopped = [r.id for r in read_journal(alone).of(RTE, "search") if r.status == "stopped"]
    queue = reusing(tmp_path / "third", toy(stop_early=lenient), alone)
    assert {r.id for r in drive(queue, lanes=1)} >= set(stopped)  # a part is no whole trial


def test_where_another_evaluation_counts_nothing_is_reused(tmp_path):
    first = toy_folder(tmp_path / "first", toy(3))
    queue = reusing(tmp_path / "second", toy(3, select="last"), first)
    assert len([r for r in drive(queue) if r.phase == "search"]) == 3


def test_failed_trials_are_not_reused_and_diverged_ones_are(tmp_path):
    raw = toy(3)
    searched = parsed(**raw)
    folder = tmp_path / "first"
    queue = opened(searched, folder)
    ends = ["failed", "diverged", "finished"]
    drive(queue, lanes=1, outcome=lambda r: "finished" if r.number > 2 else ends[r.number])
    queue.journal.close()
    (folder / "study.yaml").write_text(study.dump(searched))
    write_provenance(folder, searched, "data")
    second = reusing(tmp_path / "second", raw, folder)
    begun = drive(second, lanes=1)
    assert [r.number for r in begun if r.phase == "search"] == [0]
    assert second.journal.of(RTE)[1].status == "diverged"


@pytest.mark.parametrize("seed", ["winner", "same"])
def test_of_a_task_that_others_start_from_what_they_start_from_is_trained_before_them(
    seed, tmp_path
):
    raw = {**toy(3), "tasks": [MRPC, RTE], "per_task": {MRPC: {"from": {"task": RTE}}}}
    raw["per_task"][MRPC]["from"] |= {"seed": "same"} if seed == "same" else {}
    first = toy_folder(tmp_path / "first", raw)  # without weights
    queue = reusing(tmp_path / "second", raw, first)
    drive(queue)
    assert results(tmp_path / "second") == results(first)
    trained = [record for record in queue.journal.trials.values() if record.attempts]
    own, later = ([r for r in trained if r.task == task] for task in (RTE, MRPC))
    (leader, *_) = leaderboard(queue.study.resolve(RTE), queue.journal)
    winners = leader.trials if seed == "same" else [leader.best_trial]
    assert {r.id for r in own} == {r.id for r in winners}
    assert trained[: len(own)] == own
    assert len(later) == 1  # its own winner


def test_where_a_task_starts_from_weights_that_were_chosen_otherwise_nothing_is_reused(tmp_path):
    raw = {**toy(3), "tasks": ["own/notes", RTE], "per_task": {RTE: {"from": "own/notes"}}}
    columns = {"train": "a.tsv", "dev": "b.tsv", "text": "t", "labels": ["0", "1"]}
    folders = [
        toy_folder(tmp_path / metric, raw | {"own": {"notes": {**columns, "metrics": metric}}})
        for metric in ("accuracy", "f1")
    ]
    assert set(results(folders[0])) == set(results(folders[1]))
    (other,) = OtherRuns(str(folders[1]), tmp_path)._runs
    answers = Reuse(study.load(folders[0] / "study.yaml"), [other])
    assert answers._answers == {}


def problem_texts(names, storage, own=None):
    return [problem.text for problem in OtherRuns(names, storage, own).problems]


def test_what_cannot_be_reused_is_refused_all_at_once(tmp_path):
    first = toy_folder(tmp_path / "first", toy(2))
    old = toy_folder(tmp_path / "old", toy(2))
    write_provenance(old, study.load(old / "study.yaml"), "data", "0.0.9")
    empty = tmp_path / "empty"
    empty.mkdir()
    texts = problem_texts(f"{tmp_path}/none,{empty},{old},{first}", tmp_path, own=first)
    near = f"there are: {first}, {old}"
    assert texts[0] == f"{tmp_path}/none: there is no run folder '{tmp_path}/none'; {near}"
    assert "not a run folder" in texts[1]
    assert any(
        "trials do not follow from it" in t or "trained by raysearch 0.0.9" in t for t in texts
    )
    assert f"{first}: '{first}' is this run itself; another one would do" == texts[-1]
    assert problem_texts("all", "s3://bucket/runs") == [
        "'all' looks through a folder, and the storage is a URI; name the runs"
    ]
    for wrong in ("", "a,,b", 3, ["a", 3]):
        (text,) = problem_texts(wrong, tmp_path)
        assert text.startswith("run folders or URIs are needed, or 'all', got")


def test_a_named_run_that_can_answer_nothing_is_refused_and_one_of_all_is_not(tmp_path):
    toy_folder(tmp_path / "first", toy(2), content="other data")
    searched = parsed(**toy(2))
    named = OtherRuns(str(tmp_path / "first"), tmp_path)
    with pytest.raises(InputError, match="first can answer no trial"):
        named.answering(searched, {RTE: "data"})
    assert OtherRuns("all", tmp_path).answering(searched, {RTE: "data"}) is not None
    assert OtherRuns((), tmp_path).answering(searched, {RTE: "data"}) is None


def test_all_takes_every_run_of_the_storage_and_tells_what_it_leaves_out(tmp_path):
    for name in ("one", "two"):
        toy_folder(tmp_path / name, toy(2, seed=1 if name == "one" else 2))
    damaged = toy_folder(tmp_path / "damaged", toy(2))
    (damaged / JOURNAL_NAME).write_text("no journal\n")
    (tmp_path / "notes").mkdir()
    others = OtherRuns("all", tmp_path, own=tmp_path / "own")
    assert others.problems == []
    answers = others.answering(parsed(**toy(2)), {RTE: "data"})
    assert len(answers._answers) == sum(len(results(tmp_path / n)) for n in ("one", "two"))
    (note,) = answers.notes
    assert note.startswith(f"{damaged}: not reused: ")
