"""Trials and the study that they were trained with: what no longer fits is refused by name."""

import json
import os
import shutil
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from support.queues import begin_attempt, report
from typer.testing import CliRunner

from raysearch import results, search, study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.predictions.prediction import predict
from raysearch.preflight import Lanes
from raysearch.run_folder import Journal, read_journal, trial_identity
from raysearch.run_folder.trial_identity import TrialOrigin, trial_id
from raysearch.search import cluster_options, run_start, run_study
from raysearch.search.provenance import provenance
from raysearch.search.trial_queue import TrialQueue

RTE = "glue/rte"
STUDY = {
    "name": "toy",
    "tasks": [RTE],
    "model": "scratch:1x64",
    "space": {"LR": {"log": [1e-4, 1e-3]}, "BSZ": {"choice": [8, 16]}},
    "fixed": {"EPOCH": 1, "max_length": 16},
    "search": {"trials": 3, "sampler": "random"},
    "confirm": {"top": 1, "seeds": [11, 12]},
}
SHARED = Path(os.environ.get("SHARED", "../shared")) / "cases/hostile/runs/tiny"


def pairs(path, count=20):
    rows = [f"{i}\ta b\tc\t{'entailment' if i % 2 else 'not_entailment'}" for i in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["index\tsentence1\tsentence2\tlabel", *rows]) + "\n")


def finish(queue, most):
    """So many trials, trained by nobody: the queue is told a report and an end of each."""
    for _ in range(most):
        record = queue.next()
        begin_attempt(queue, record, steps=3, evaluations=[3], rungs={})
        scores = {"dev.accuracy": round(0.5 + record.number / 100, 2)}
        report(queue, record, 3, scores, "finished", steps=3, seconds=1.0, tokens=1)
        queue.end(record, "finished")


@pytest.fixture
def run_folder(tmp_path, monkeypatch):
    """A run of which two trials have ended, and the data beside it; nothing was trained."""
    monkeypatch.setattr("os.fsync", lambda file: None)
    return begun(tmp_path, STUDY)


def begun(tmp_path, raw):
    """Write the folder of a run that was stopped after two trials."""
    data, folder, searched = tmp_path / "data", tmp_path / "run", study.parse(raw)
    for name in ("train", "dev"):
        pairs(data / "RTE" / f"{name}.tsv")
    folder.mkdir()
    content = run_start.content_of(searched, data)
    (folder / "study.yaml").write_text(study.dump(searched))
    lanes = {"count": None, "workers": 1, "cpus": 1, "gpus": None}
    facts = {"data": str(data), "content": content, "lanes": lanes}
    (folder / "provenance.json").write_text(json.dumps(provenance(searched) | facts))
    with closing(Journal(folder)) as journal:
        finish(TrialQueue(searched, journal, content), 2)
    return folder


@pytest.fixture
def started(monkeypatch):
    """The studies that `resume` goes on with: no Ray is started."""
    studies = []
    monkeypatch.setattr(
        run_study, "_engine", lambda _, start, *rest: studies.append(start.choice.study)
    )
    return studies


def edit(folder, **parts):
    """Change parts of a run's study.yaml; a part that is None is taken out."""
    path = folder / "study.yaml"
    raw = yaml.safe_load(path.read_text())
    for place, value in parts.items():
        *owners, name = place.split("__")
        part = raw
        for owner in owners:
            part = part.setdefault(owner, {})
        if value is None:
            del part[name]
        else:
            part[name] = value
    path.write_text(yaml.safe_dump(raw))


def refusals(folder, tmp_path):
    """What a table, a prediction and a resumption each say against a run folder."""
    for command in (
        lambda: results.write_exports(folder),
        lambda: predict(folder, to=tmp_path / "out"),
        lambda: search.resume(folder),
    ):
        with pytest.raises(InputError) as refused:
            command()
        yield {problem.location: problem.text for problem in refused.value.problems}


def test_an_id_is_the_one_that_0_1_1_gave_the_same_trial():
    space = {"LR": {"choice": [1e-5]}, "WARMUP": {"choice": [{"steps": 50}]}}
    fixed = {"EPOCH": 3.0, "adam_betas": [0.9, 0.98], "clip": "none"}
    raw = {"tasks": [RTE], "model": "scratch", "space": space, "fixed": fixed}
    undivided = {"seed": 7, "stop_early": True}
    searched = study.parse({**raw, "search": undivided})
    names = frozenset(trial_identity._OF_0_1_1.split())
    origin = TrialOrigin(content={RTE: "data"}, version="0.1.1", names=names)
    point = {"LR": 1e-05, "WARMUP": {"steps": 50}}
    assert trial_id(searched, RTE, "search", point, 7, origin) == "69ca4bbb21af"
    divided = [study.parse({**raw, "search": {**undivided, **division}})
               for division in ({"hold_out": 0.5}, {"hold_out": 0.3}, {"hold_out": 0.5, "seed": 8})
              ]  # fmt: skip
    ids = {trial_id(other, RTE, "search", point, 7, origin) for other in divided}
    assert len(ids - {"69ca4bbb21af"}) == 3  # other examples select
    fixed = {"view": "noise", "corpus": "switch", "EPOCH": 2}
    raw = {"tasks": ["xtreme/panx"], "model": "scratch", "recipe": "stabletune", "fixed": fixed}
    taught = study.parse({**raw, "search": {"select_on": "mean"}})
    content = {"xtreme/panx": "data", "xtreme/panx teach": "less"}
    origin = TrialOrigin(content=content, version="0.1.1", names=names)
    point = {"stages": 1, "corpus": "subwords"}
    assert trial_id(taught, "xtreme/panx", "teach", point, 1, origin) == "21c6f06c2050"


@pytest.mark.skipif(not SHARED.is_dir(), reason="no run of 0.1.1 here")
def test_a_table_of_a_run_of_0_1_1_stands_and_says_so_and_an_edited_one_is_refused(tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(SHARED, folder, copy_function=shutil.copyfile)
    table = results.write_exports(folder)
    assert table.row("Result").cells[0].text == "42.5"
    assert table.notes[-1].startswith("Trained by raysearch 0.1.1; this is ")
    edit(folder, fixed__BSZ=256)
    with pytest.raises(InputError, match=r"5 of 5 trials do not follow from it"):
        results.write_exports(folder)


def told_of_origin(table):
    """Return the notes of a table that say where its trials come from."""
    return [note for note in table.notes if "provenance" in note or "rained by" in note]


def test_an_untouched_run_has_a_table_and_goes_on(run_folder, started):
    assert not told_of_origin(results.write_exports(run_folder))
    search.resume(run_folder)
    assert started == [study.load(run_folder / "study.yaml")]


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("adam_betas", [[0.9, 0.98], [0.9, 0.999]]),
        ("decay_exclude", [["bias"], ["bias", "norm"]]),
        ("EPOCH", [{"steps": 4}, {"steps": 6}]),
        ("weight_decay", [0, 0.5, 1]),
    ],
)
def test_values_that_a_journal_spells_otherwise_go_on(tmp_path, monkeypatch, started, name, choice):
    """JSON has lists for tuples, and 0 for 0.0."""
    monkeypatch.setattr("os.fsync", lambda file: None)
    raw = {**STUDY, "space": {name: {"choice": choice}, "BSZ": {"choice": [8, 16]}}}
    raw["fixed"] = {n: x for n, x in STUDY["fixed"].items() if n != name}
    search.resume(begun(tmp_path, raw))
    assert len(started) == 1


CHANGED = {
    "a fixed value": ({"fixed__EPOCH": 2}, "fixed.EPOCH", "was 1 when the trials were trained, is"),
    "a value in steps": ({"fixed__EPOCH": {"steps": 4}}, "fixed.EPOCH", 'is {"steps": 4} now'),
    "a value that was a default": ({"fixed__clip": 2}, "fixed.clip", "was not set when"),
    "a default in its stead": ({"fixed__max_length": None}, "fixed.max_length", "is not set"),
    "a task's own value": (
        {"per_task": {RTE: {"fixed": {"clip": 2}}}}, "per_task.glue/rte.fixed.clip", "is 2 now"
    ),
    "the recipe": ({"recipe": "r_drop"}, "recipe", 'is "r_drop" now'),
    "the model": ({"model": "scratch:2x64"}, "model", 'was "scratch:1x64"'),
    "a task's own model": (
        {"per_task": {RTE: {"model": "scratch:2x64"}}}, "per_task.glue/rte.model", "was not set"
    ),
    "rows left out": ({"leave_out": 5}, "leave_out", "is 5 now"),
    "the seed": ({"search__seed": 7}, "search.seed", ""),
    "the rungs": ({"search__stop_early": {"at": [0.3]}}, "search.stop_early.at", "is [0.3] now"),
    "the evaluation": ({"search__select": "last"}, "search.select", 'is "last" now'),
    "what is held out": ({"search__hold_out": 0.5}, "search.hold_out", "was not set when"),
    "a dimension more": (
        {"space__dropout": {"uniform": [0.0, 0.2]}}, "space of glue/rte", "here it is of BSZ, LR, d"
    ),
    "a dimension less": ({"space__BSZ": None}, "space of glue/rte", "here it is of LR"),
    "a narrower range": ({"space__LR": {"log": [9e-4, 1e-3]}}, "space.LR", "may only grow"),
    "a shorter list": ({"space__BSZ": {"choice": [32, 64]}}, "space.BSZ", "which is outside"),
    "a dimension that is fixed now": (
        {"space__BSZ": None, "fixed__BSZ": 32}, "space of glue/rte", "in a space of BSZ, LR"
    ),
    "a task more": ({"tasks": [RTE, "toy/grammar"]}, "tasks", "was not part of the run"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHANGED)
def test_what_was_changed_in_a_study_after_its_trials_is_named(run_folder, tmp_path, kind, started):
    parts, place, text = CHANGED[kind]
    edit(run_folder, **parts)
    for problems in refusals(run_folder, tmp_path):
        assert text in problems[place], problems
    assert not started
    assert not list(run_folder.rglob("table.md"))


def test_a_study_of_another_task_is_refused(run_folder, tmp_path, started):
    edit(run_folder, tasks=["toy/grammar"])
    for problems in refusals(run_folder, tmp_path):
        assert any("glue/rte" in text for text in problems.values())
    assert not started


ALLOWED = {
    "more trials": {"search__trials": 8},
    "fewer trials": {"search__trials": 1},
    "another sampler": {"search__sampler": "tpe"},
    "hours": {"search__hours": 3},
    "a longer list": {"space__BSZ": {"choice": [4, 8, 16, 32]}},
    "a wider range": {"space__LR": {"log": [1e-5, 1e-2]}},
    "an even range": {"space__LR": {"uniform": [1e-4, 1e-3]}},
    "other seeds and more of them": {"confirm__seeds": [21, 22, 23], "confirm__top": 2},
    "a name": {"name": "other"},
    "published rows": {"published": [{"row": "A", "source": "a", "results": {}}]},
    "a default that is written down": {"fixed__clip": 1.0},
    "a number in another spelling": {"fixed__EPOCH": 1.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALLOWED)
def test_what_changes_no_trial_that_was_trained_may_change(run_folder, kind, started):
    edit(run_folder, **ALLOWED[kind])
    search.resume(run_folder)
    now = study.load(run_folder / "study.yaml")
    assert started == [now]
    assert results.write_exports(run_folder).title.startswith(now.name)
    queue = TrialQueue(
        now, Journal(run_folder), run_start.content_of(now, run_folder.parent / "data")
    )
    assert queue.next().id not in list(queue.journal.trials)[:2]


def test_a_study_that_grew_is_the_one_that_later_changes_are_told_against(run_folder, started):
    edit(run_folder, search__trials=8, fixed__clip=1.0)
    search.resume(run_folder)
    edit(run_folder, fixed__clip=2.0)
    with pytest.raises(InputError, match=r"fixed\.clip +was 1 when the trials .* is 2 now"):
        results.write_exports(run_folder)


def test_a_run_that_did_not_keep_its_study_still_refuses_an_edited_one(run_folder):
    path = run_folder / "provenance.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({n: facts[n] for n in ("raysearch", "data", "content", "lanes")}))
    assert not told_of_origin(results.write_exports(run_folder))
    edit(run_folder, fixed__EPOCH=2)
    with pytest.raises(InputError, match="2 of 2 trials do not follow from it"):
        results.write_exports(run_folder)


def test_a_journal_of_another_study_is_refused(run_folder, tmp_path):
    journal = run_folder / "journal.jsonl"
    first = next(iter(read_journal(run_folder).trials))
    journal.write_text(journal.read_text().replace(first, "0" * 12))
    for problems in refusals(run_folder, tmp_path):
        assert "1 of 2 trials do not follow from it, 000000000000" in problems["study.yaml"]


def test_a_score_that_is_not_that_of_its_evaluation_is_refused(run_folder):
    journal = run_folder / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"score":0.51', '"score":0.99'))
    with pytest.raises(InputError, match="is not that of its best evaluation"):
        results.write_exports(run_folder)


def test_a_run_folder_without_a_provenance_has_a_table_that_says_what_was_not_checked(run_folder):
    for content in ("", "[]", "{"):
        (run_folder / "provenance.json").write_text(content)
        assert "was not checked" in results.write_exports(run_folder).notes[-1]
    (run_folder / "provenance.json").unlink()
    assert "was not checked" in results.write_exports(run_folder).notes[-1]


@pytest.mark.parametrize(
    "facts",
    [{"content": 3}, {"content": {"glue/rte": 3}}, {"raysearch": 3}, {"study": []},
     {"hyperparameters": "LR"}, {"hyperparameters": [3]}],
)  # fmt: skip
def test_a_provenance_of_other_types_is_refused(run_folder, tmp_path, facts):
    path = run_folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    for problems in refusals(run_folder, tmp_path):
        assert next(iter(facts)) in problems["provenance.json"]


@pytest.mark.parametrize(
    "facts",
    [{"data": 3}, {"data": ""}, {"lanes": [1]}, {"lanes": {"count": "x"}}, {"lanes": {"evil": 1}},
     {"lanes": {"workers": True}}, {"lanes": {"cpus": -1}}, {"lanes": {"per_gpu": "all"}},
     {"lanes": {"per_gpu": 0}}, {"lanes": {"mps": "yes"}}],
)  # fmt: skip
def test_lanes_and_data_of_other_types_are_refused(run_folder, facts):
    path = run_folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    with pytest.raises(InputError, match="damaged"):
        search.resume(run_folder)


@pytest.mark.parametrize("per_gpu", [None, 3, "auto"])
def test_lanes_that_share_gpus_are_those_of_the_start(run_folder, monkeypatch, per_gpu):
    path, lanes = run_folder / "provenance.json", []
    facts = {"lanes": asdict(Lanes(per_gpu=per_gpu, mps=per_gpu is not None))}
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    monkeypatch.setattr(cluster_options, "local_resources", lambda: {"CPU": 4.0, "GPU": 1.0})
    monkeypatch.setattr(run_study, "_engine", lambda folder, start, *_: lanes.append(start.lanes))
    search.resume(run_folder)
    assert lanes == [Lanes(per_gpu=per_gpu, mps=per_gpu is not None)]


def refused_resume(folder):
    with pytest.raises(InputError) as refused:
        search.resume(folder)
    return {problem.location: problem.text for problem in refused.value.problems}


def test_data_a_model_and_a_version_that_changed_are_each_named(tmp_path, run_folder, started):
    pairs(tmp_path / "data" / "RTE" / "train.tsv", 22)
    assert refused_resume(run_folder)[RTE].startswith("the data changed since the run began")
    pairs(tmp_path / "data" / "RTE" / "train.tsv")
    path = run_folder / "provenance.json"
    facts = json.loads(path.read_text())
    content = {RTE: "0" * 64 + "-" + facts["content"][RTE].partition("-")[2]}
    path.write_text(json.dumps(facts | {"content": content}))
    problems = refused_resume(run_folder)
    assert problems[RTE].startswith("the model 'scratch:1x64' changed since the run began")
    path.write_text(json.dumps(facts | {"raysearch": "0.0.9"}))
    assert "begun by raysearch 0.0.9" in refused_resume(run_folder)["version"]
    assert not started


def test_a_model_that_was_moved_is_the_same_model(tmp_path, toy_folder, monkeypatch, started):
    """A run knows its model by its content: at another place it goes on."""
    monkeypatch.setattr("os.fsync", lambda file: None)
    model, data, folder = toy_folder("bert"), tmp_path / "data", tmp_path / "run"
    for name in ("train", "dev"):
        pairs(data / "RTE" / f"{name}.tsv")
    folder.mkdir()
    searched = study.parse({**STUDY, "model": str(model)})
    content = run_start.content_of(searched, data)
    (folder / "study.yaml").write_text(study.dump(searched))
    facts = {"data": str(data), "content": content, "lanes": {}}
    (folder / "provenance.json").write_text(json.dumps(provenance(searched) | facts))
    with closing(Journal(folder)) as journal:
        finish(TrialQueue(searched, journal, content), 1)
    model.rename(tmp_path / "moved")
    edit(folder, model=str(tmp_path / "moved"))
    with pytest.raises(InputError, match=r"model +was"):
        results.write_exports(folder)
    search.resume(folder)
    assert len(started) == 1
    assert results.write_exports(folder)
    weights = tmp_path / "moved" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"else")
    assert "changed since the run began" in refused_resume(folder)[RTE]


def test_the_command_ends_with_2_and_no_traceback(run_folder):
    edit(run_folder, fixed__EPOCH=2)
    for command in (["table"], ["resume"], ["predict", "--to", str(run_folder.parent / "out")]):
        result = CliRunner().invoke(app, [*command, str(run_folder)])
        assert result.exit_code == 2
        assert "fixed.EPOCH  was 1 when the trials were trained, is 2 now" in result.output


def test_a_run_keeps_the_study_as_it_was_run(tmp_path, started):
    for name in ("train", "dev"):
        pairs(tmp_path / "RTE" / f"{name}.tsv")
    searched = study.parse(STUDY)
    search.run(searched, data=tmp_path, storage=tmp_path / "runs")
    folder = tmp_path / "runs" / "toy"
    facts = json.loads((folder / "provenance.json").read_text())
    assert started == [searched] == [study.load(folder / "study.yaml")]
    assert study.same_trials(study.parse(facts["study"]), searched)
    assert {"BSZ", "LR", "EPOCH", "WARMUP"} < set(facts["hyperparameters"])
    assert set(facts["content"]) == {RTE}


def test_a_study_that_is_not_read_back_as_it_was_checked_does_not_run(tmp_path):
    for name in ("train", "dev"):
        pairs(tmp_path / "RTE" / f"{name}.tsv")
    sound = study.parse(STUDY)
    assert study.same_trials(study.parse(yaml.safe_load(study.checked_dump(sound))), sound)
    twice = sound.confirm.model_copy(update={"seeds": (11, 11)})
    with pytest.raises(InputError, match=r"confirm\.seeds .*please report"):
        study.checked_dump(sound.model_copy(update={"confirm": twice}))
    wrong = sound.model_copy(update={"fixed": {"EPOCH": "1", "max_length": 16}})
    with pytest.raises(InputError, match=r"fixed +is not read as it was written; .* report"):
        search.run(wrong, data=tmp_path, storage=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
