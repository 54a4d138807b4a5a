"""TensorBoard files, read back by TensorBoard itself: its accumulators and its HParams plugin."""

import shutil

import pytest
from support.run_folders import Script, write_study
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from raysearch import results, study
from raysearch.results import TensorBoardWriter
from raysearch.run_folder import read_journal

RTE, MRPC = "glue/rte", "glue/mrpc"
STUDY = {
    "name": "curves",
    "tasks": [RTE, MRPC],
    "model": "scratch",
    "space": {"BSZ": {"choice": [16, 32]}, "LR": {"log": [1e-5, 1e-3]}},
    "fixed": {"EPOCH": 3, "WARMUP": 16},
    "search": {"trials": 3},
}
POINT = {"BSZ": 16, "LR": 1e-4}


@pytest.fixture
def live(tmp_path):
    """A script, and curves of its run."""
    write_study(tmp_path, **STUDY)
    return Script(tmp_path), TensorBoardWriter(tmp_path, study.load(tmp_path / "study.yaml"))


def place(root, record):
    name = f"{record.phase}-{record.number:04d}-{record.id}"
    return root / record.task.replace("/", "-") / "tensorboard" / name


def curve(root, record, tag):
    """(step, value) of a tag, as TensorBoard reads the trial's folder."""
    accumulator = EventAccumulator(str(place(root, record)))
    accumulator.Reload()
    if tag not in accumulator.Tags()["scalars"]:
        return []
    return [(event.step, pytest.approx(event.value)) for event in accumulator.Scalars(tag)]


def hparams_tab(root):
    """The experiment and the session groups that the HParams tab shows of a folder."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(root))
    context = base_plugin.TBContext(logdir=str(root), data_provider=provider)
    backend, request = backend_context.Context(context), RequestContext()
    everything = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[
            api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING,
        ],
    )  # fmt: skip
    groups = list_session_groups.Handler(request, backend, "", everything).run().session_groups
    experiment = backend.experiment_from_metadata(
        request, "", True, backend.hparams_metadata(request, ""), []
    )
    return experiment, groups


def plain(group):
    """A row of the HParams tab: settings, metrics and status."""
    settings = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()
    }
    metrics = {m.name.tag: pytest.approx(m.value) for m in group.metric_values}
    return settings, metrics, group.sessions[0].status


def test_curves_grow_with_every_report(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    for step, accuracy, loss in ((50, 0.6, 0.7), (100, 0.65, 0.5)):
        script.report(record.id, step, {"accuracy": accuracy}, loss=loss)
        curves.report(record)
        assert curve(tmp_path, record, "dev/accuracy")[-1] == (step, accuracy)
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.6), (100, 0.65)]
    assert curve(tmp_path, record, "train/loss") == [(50, 0.7), (100, 0.5)]
    assert curve(tmp_path, record, "train/learning_rate") == [(50, 1e-5), (100, 1e-5)]
    assert len(list(place(tmp_path, record).iterdir())) == 1


def test_the_terms_of_a_loss_and_the_share_of_words_switched_have_curves(tmp_path, live):
    script, curves = live
    told, plain = (script.journal.trials[script.begin(RTE, {"LR": x})] for x in (1e-5, 2e-5))
    more = {"terms": {"task": 0.5, "R1": 0.25}, "switched": 0.125}
    for record, values in ((told, more), (plain, {"terms": {}, "switched": None})):
        script.attempt(record.id)
        script.report(record.id, 50, {"accuracy": 0.6}, **values)
        curves.report(record)
    for name, value in (("task", 0.5), ("R1", 0.25), ("words_switched", 0.125)):
        assert curve(tmp_path, told, f"train/{name}") == [(50, value)]
        assert curve(tmp_path, plain, f"train/{name}") == []


def test_points_stand_at_the_times_of_their_reports(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.trial(RTE, POINT, {"accuracy": 0.7})]
    curves.end(record)
    accumulator = EventAccumulator(str(place(tmp_path, record)))
    accumulator.Reload()
    times = [event.wall_time for event in accumulator.Scalars("dev/accuracy")]
    assert times == [report.at for report in record.reports]


def test_a_report_that_is_shown_twice_is_there_once(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.6})
    curves.report(record)
    curves.report(record)
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.6)]


@pytest.mark.parametrize("kept", [0, 50])
def test_a_second_attempt_replaces_what_it_does_again(tmp_path, live, kept):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    for step in (50, 75, 100):
        script.report(record.id, step, {"accuracy": 0.5})
        curves.report(record)
    script.attempt(record.id, 2, from_step=kept)
    script.report(record.id, 75, {"accuracy": 0.8}, attempt=2)
    curves.report(record)
    before = [(50, 0.5)] if kept else []
    assert curve(tmp_path, record, "dev/accuracy") == [*before, (75, 0.8)]


def test_a_resumed_run_shows_no_point_twice(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.5})
    curves.report(record)
    resumed = TensorBoardWriter(tmp_path, study.load(tmp_path / "study.yaml"))
    script.attempt(record.id, 2, from_step=50)
    script.report(record.id, 100, {"accuracy": 0.7}, attempt=2)
    resumed.report(record)
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.5), (100, 0.7)]


def test_a_tensorboard_that_reads_along_shows_no_point_twice(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.5})
    curves.report(record)
    watching = EventAccumulator(str(place(tmp_path, record)))
    watching.Reload()
    script.report(record.id, 75, {"accuracy": 0.55})
    curves.report(record)
    watching.Reload()
    assert [event.step for event in watching.Scalars("dev/accuracy")] == [50, 75]
    script.attempt(record.id, 2)
    script.report(record.id, 50, {"accuracy": 0.6}, attempt=2)
    curves.report(record)
    watching.Reload()
    assert [(e.step, pytest.approx(e.value)) for e in watching.Scalars("dev/accuracy")] == [
        (50, 0.6)
    ]
    script.end(record.id, "stopped", 0.6, {"accuracy": 0.6})
    curves.end(record)
    watching.Reload()
    assert [event.step for event in watching.Scalars("dev/accuracy")] == [50]
    assert [event.step for event in watching.Scalars("score")] == [50]


def test_the_hparams_tab_lists_every_ended_trial_with_its_settings_and_scores(tmp_path, live):
    script, _ = live
    script.trial(RTE, POINT, {"accuracy": 0.7})
    script.stopped(RTE, {"BSZ": 32, "LR": 2e-4}, {"accuracy": 0.6})
    script.diverged(RTE, {"BSZ": 32, "LR": 1e-3}, before={"accuracy": 0.5})
    script.end(script.begin(MRPC, POINT), "failed", None, error="RuntimeError")
    results.write_exports(tmp_path)
    experiment, groups = hparams_tab(tmp_path)
    rows = {group.name: plain(group) for group in groups}
    common = {"EPOCH": 3.0, "WARMUP": 16.0}
    good, bad = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    scores = {"score": 0.7, "best/accuracy": 0.7, "last/accuracy": 0.7}
    assert rows == {
        "mrpc 0000 search t3": ({**common, **POINT}, {}, bad),
        "rte 0000 search t0": ({**common, **POINT}, scores, good),
        "rte 0001 search t1": (
            {**common, "BSZ": 32, "LR": 2e-4}, dict.fromkeys(scores, 0.6), good,
        ),
        "rte 0002 search t2": (
            {**common, "BSZ": 32, "LR": 1e-3}, {**dict.fromkeys(scores, 0.5), "score": 0.0}, good,
        ),
    }  # fmt: skip
    columns = [(info.name, info.type) for info in experiment.hparam_infos]
    number = api_pb2.DATA_TYPE_FLOAT64
    assert sorted(columns) == [(name, number) for name in ("BSZ", "EPOCH", "LR", "WARMUP")]
    assert [info.name.tag for info in experiment.metric_infos] == [
        "score", "best/accuracy", "best/f1", "last/accuracy", "last/f1"
    ]  # fmt: skip


def test_trials_sort_by_their_numbers_and_a_folder_of_an_older_version_stays(tmp_path, live):
    script, _ = live
    for rate in range(1, 12):
        script.trial(RTE, {"BSZ": 16, "LR": rate * 1e-4}, {"accuracy": 0.7})
    records = list(script.journal.trials.values())
    old = place(tmp_path, records[3]).with_name(f"search-3-{records[3].id}")
    old.mkdir(parents=True)
    results.write_exports(tmp_path)
    folders = {path.name: len(list(path.iterdir())) for path in old.parent.iterdir()}
    expected = {place(tmp_path, record).name: 1 for record in records if record is not records[3]}
    assert folders == {**expected, old.name: 1}
    assert sorted(expected) == list(expected)
    _, groups = hparams_tab(tmp_path)
    assert [int(group.name.split()[1]) for group in groups if "t3" not in group.name] == [
        record.number for record in records if record is not records[3]
    ]


def test_a_single_task_can_be_opened_alone(tmp_path, live):
    script, _ = live
    script.trial(RTE, POINT, {"accuracy": 0.7})
    script.trial(MRPC, POINT, {"accuracy": 0.8, "f1": 0.85})
    results.write_exports(tmp_path)
    _, groups = hparams_tab(tmp_path / "glue-mrpc")
    ((settings, metrics, _),) = map(plain, groups)
    assert settings["LR"] == 1e-4
    assert (metrics["score"], metrics["best/f1"]) == (0.8, 0.85)


def test_a_column_that_mixes_numbers_and_steps_is_text_and_can_be_sorted(tmp_path):
    space = {"WARMUP": {"choice": [16, {"steps": 50}]}}
    write_study(tmp_path, name="s", tasks=[RTE], model="scratch", space=space)
    script = Script(tmp_path)
    script.trial(RTE, {"WARMUP": 16}, {"accuracy": 0.7})
    script.trial(RTE, {"WARMUP": {"steps": 50}}, {"accuracy": 0.6})
    results.write_exports(tmp_path)
    experiment, groups = hparams_tab(tmp_path)
    assert [plain(group)[0]["WARMUP"] for group in groups] == ["16", "50 steps"]
    (info,) = [info for info in experiment.hparam_infos if info.name == "WARMUP"]
    assert (info.type, list(info.domain_discrete)) == (
        api_pb2.DATA_TYPE_STRING, ["16", "50 steps"]
    )  # fmt: skip


def test_a_trial_that_still_runs_is_listed_as_unfinished(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.6})
    curves.report(record)
    _, (group,) = hparams_tab(tmp_path)
    assert plain(group)[1:] == ({}, api_pb2.STATUS_UNKNOWN)


def test_an_export_makes_what_is_missing_and_leaves_the_rest(tmp_path, live):
    script, curves = live
    done = script.journal.trials[script.trial(RTE, POINT, {"accuracy": 0.7})]
    curves.end(done)
    cut = script.journal.trials[script.begin(RTE, {"BSZ": 32, "LR": 1e-3})]
    script.attempt(cut.id)
    script.report(cut.id, 50, {"accuracy": 0.5})
    curves.report(cut)
    script.end(cut.id, "stopped", 0.5, {"accuracy": 0.5})
    (kept,) = place(tmp_path, done).iterdir()
    before = kept.stat().st_mtime_ns
    results.write_exports(tmp_path)
    assert (list(place(tmp_path, done).iterdir()), kept.stat().st_mtime_ns) == ([kept], before)
    assert curve(tmp_path, cut, "score") == [(50, 0.5)]
    shutil.rmtree(place(tmp_path, done))
    results.write_exports(tmp_path)
    assert curve(tmp_path, done, "score") == [(100, 0.7)]


def test_an_export_leaves_the_files_of_running_trials_alone(tmp_path, live):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.5})
    curves.report(record)
    results.write_exports(tmp_path)
    script.report(record.id, 100, {"accuracy": 0.6})
    curves.report(record)
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.5), (100, 0.6)]


def test_a_full_disk_stops_no_search_and_costs_no_point(tmp_path, live, monkeypatch):
    script, curves = live
    record = script.journal.trials[script.begin(RTE, POINT)]
    script.attempt(record.id)
    script.report(record.id, 50, {"accuracy": 0.5})
    curves.report(record)

    def full(path, events):
        with path.open("ab") as file:
            file.write(b"half an event")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results.tensorboard, "_append", full)
        script.report(record.id, 75, {"accuracy": 0.6})
        curves.report(record)
    script.report(record.id, 100, {"accuracy": 0.7})
    curves.report(record)
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.5), (75, 0.6), (100, 0.7)]
    assert len(read_journal(tmp_path).trials[record.id].reports) == 3


def test_a_failed_trial_has_curves_and_no_score(tmp_path, live):
    script, _ = live
    name = script.begin(RTE, POINT)
    script.attempt(name)
    script.report(name, 50, {"accuracy": 0.55})
    script.end(name, "failed", 0.55, {"accuracy": 0.55}, error="MemoryError")  # as 0.1.1 wrote it
    results.write_exports(tmp_path)
    record = script.journal.trials[name]
    assert curve(tmp_path, record, "dev/accuracy") == [(50, 0.55)]
    for tag in ("score", "best/accuracy", "last/accuracy"):
        assert curve(tmp_path, record, tag) == []
    _, (group,) = hparams_tab(tmp_path)
    assert plain(group)[1:] == ({}, api_pb2.STATUS_FAILURE)
