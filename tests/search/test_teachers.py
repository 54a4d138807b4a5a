"""Teachers: trained once for all the trials that ask for them, whatever happens in between."""

import io
import json
import math
import re
from collections import Counter
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest
from optuna.trial import TrialState
from pyarrow import parquet
from rich.console import Console
from support.queues import begin_attempt, drive_queue, report, spend

from raysearch import results, study
from raysearch.cli.progress import ProgressDisplay
from raysearch.errors import InputError
from raysearch.models import weight_arrays
from raysearch.recipes import RECIPES
from raysearch.results.cost import cost_table
from raysearch.results.leaderboard import is_complete, leaderboard
from raysearch.run_folder import JOURNAL_NAME, Journal, read_journal
from raysearch.search.teacher_store import FACTS, WEIGHTS, TeacherStore
from raysearch.search.trial_queue import QueueState, TrialQueue
from raysearch.search.tune_adapter import TuneAdapter
from raysearch.workers.messages import LaneIdle, TrainedModel, TrialEnd

TASK = "xtreme/panx"
F1 = "dev.entity_f1"
TWO_TEACHERS = {"teacher_LR": {"choice": [1e-5, 2e-5]}, "lambda2": {"choice": [0.5, 1, 2, 5]}}
ONE_TEACHER = {"lambda2": {"choice": [0.5, 1, 2, 3, 4, 5, 6, 7]}}
STEPS = (50, 100)  # a trial's evaluations; a step takes a second


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)


def parsed(space=TWO_TEACHERS, fixed=None, **parts):
    search = {"sampler": "grid", "trials": 8, **parts.pop("search", {})}
    return study.parse({
        "tasks": [TASK], "model": "scratch", "recipe": "stabletune", "space": space,
        "fixed": fixed or {}, "search": search, **parts,
    })  # fmt: skip


def opened(searched, folder, store, content="data"):
    folder.mkdir(exist_ok=True)
    content = dict.fromkeys(searched.tasks, content)
    return TrialQueue(searched, Journal(folder), content, store=TeacherStore(store))


def toy_trial(queue, record, outcome):
    """A trial, event by event, as a lane and the adapter let them happen."""
    begin_attempt(queue, record, evaluations=STEPS)
    yield
    if outcome == "failed":
        queue.end(record, "failed", "Traceback ...\nRuntimeError: a toy broke")
        return
    for step in STEPS:
        worse = 50 if record.phase == "teach" else record.number  # than all rivals, had it some
        scores = {F1: 0.1 + (step - worse) / 1000}
        status = outcome if step == STEPS[-1] else "running"
        scores = {} if status == "diverged" else scores
        going = report(queue, record, step, scores, status, loss=0.1)
        spend(queue, record, step)
        yield
        if not going:
            queue.end(record, "stopped")
            return
    if record.phase == "teach" and outcome != "diverged":
        queue.store_teacher(record, {"weight": np.full(3, record.number, np.float32)})
    queue.end(record, outcome)


def drive(queue, lanes=2, **options):
    """Run toy trials to the end of the study, see `drive_queue`."""
    return drive_queue(queue, toy_trial, lanes, **options)


def saved(queue):
    """Device hours that the ledger says sharing saved."""
    row = cost_table(queue.study, queue.journal).row("device hours saved by sharing teachers")
    return row.cells[0].value


def names(queue):
    return [row.name for row in cost_table(queue.study, queue.journal).rows]


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_eight_trials_over_two_first_stages_train_two_teachers(tmp_path, lanes):
    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    begun = drive(queue, lanes)
    teachers = queue.journal.of(TASK, "teach")
    assert [r.phase for r in begun].count("teach") == 2 == len(teachers)
    assert {r.configuration["LR"] for r in teachers} == {1e-5, 2e-5}
    students = queue.journal.of(TASK, "search")
    assert len(students) == 8
    for student in students:
        teacher = queue.journal.trials[student.teacher]
        assert teacher.configuration["LR"] == student.configuration["teacher_LR"]
        assert begun.index(teacher) < begun.index(student)
    assert is_complete(queue.study.resolve(TASK), queue.journal)


def test_while_a_teacher_is_trained_other_lanes_train_the_other_one(tmp_path):
    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    first, second = queue.next(), queue.next()
    assert (first.phase, second.phase) == ("teach", "teach")
    assert queue.next() is QueueState.WAITING
    list(toy_trial(queue, first, "finished"))
    ready = queue.next()
    assert (ready.phase, ready.teacher) == ("search", first.id)
    waiting = [r for r in queue.journal.of(TASK, "search") if not r.teacher]
    assert all(ready.number < r.number or r.teacher == second.id for r in waiting)


def test_a_sampler_is_not_asked_for_all_its_trials_while_their_teacher_is_trained(tmp_path):
    queue = opened(parsed(ONE_TEACHER), tmp_path / "run", tmp_path / "store")
    assert queue.next().phase == "teach"
    assert [queue.next() for _ in range(9)] == [QueueState.WAITING] * 9
    assert len(queue.journal.of(TASK, "search")) <= 3
    assert queue.remaining == 8


def test_a_teacher_is_ordered_whole_kept_never_stopped_and_by_its_own_selection(tmp_path):
    fixed = {"lambda1": 3, "teacher_lambda1": 7, "teacher_select": "last", "hard_labels": True,
             "BSZ": 16}  # fmt: skip
    halving = {"stop_early": {"at": [0.5], "keep": 0.5}}
    searched = parsed(fixed=fixed, search=halving, confirm={"top": 1, "seeds": [11]})
    queue = opened(searched, tmp_path / "run", tmp_path / "store")
    teacher = queue.next()
    order = queue.request(teacher)
    hyper = RECIPES["stabletune"].hyper.model_validate(order.configuration)
    assert (hyper.stages, hyper.lambda1, hyper.BSZ, hyper.hard_labels) == (1, 7, 16, False)
    assert (order.keep_weights, order.select, order.rungs, order.teacher) == (
        True, "last", (), "",
    )  # fmt: skip
    list(toy_trial(queue, teacher, "finished"))
    (learner, *_) = begun = drive(queue)
    student = queue.request(learner)
    assert (student.keep_weights, student.select, student.rungs, student.teacher) == (
        False, "best", (0.5,), teacher.id,
    )  # fmt: skip
    assert {r.status for r in begun if r.phase == "teach"} == {"finished"}
    assert "stopped" in {r.status for r in begun}


def test_teachers_compete_with_nobody_and_no_sampler_hears_of_them(tmp_path):
    searched = parsed(search={"stop_early": {"at": [0.5], "keep": 0.5}})
    queue = opened(searched, tmp_path / "run", tmp_path / "store")
    drive(queue)
    phases = {r.phase for s in leaderboard(searched.resolve(TASK), queue.journal) for r in s.trials}
    assert phases == {"search"}
    assert len(queue.optuna_study(TASK).study.trials) == 8
    assert queue.planned_trials(TASK) == {"search": 8, "confirm": 0, "teach": 2}
    assert queue.remaining == 0


def test_every_seed_of_a_confirmation_has_a_teacher_that_its_configurations_share(tmp_path):
    searched = parsed(ONE_TEACHER, search={"trials": 4}, confirm={"top": 3, "seeds": [11, 12]})
    queue = opened(searched, tmp_path / "run", tmp_path / "store")
    drive(queue, 3)
    assert sorted(r.seed for r in queue.journal.of(TASK, "teach")) == [1, 11, 12]
    for record in queue.journal.of(TASK, "confirm"):
        assert queue.journal.trials[record.teacher].seed == record.seed
    assert len(queue.journal.of(TASK, "confirm")) == 6


def test_what_only_the_second_stage_reads_makes_no_other_teacher(tmp_path):
    def teacher(name, content="data", **fixed):
        searched = parsed(ONE_TEACHER, fixed=fixed, search={"trials": 1})
        return opened(searched, tmp_path / name, tmp_path / "store", content).next().id

    same = [teacher("a"), teacher("b", corpus_size=2), teacher("c", LR=1e-4, teacher_LR=2e-5)]
    assert len(set(same)) == 1
    others = [teacher("d", LR=1e-4), teacher("e", teacher_select="last"), teacher("f", "more")]
    assert len({same[0], *others}) == 4


def test_a_teacher_minds_only_the_files_that_its_own_views_need(tmp_path):
    def teacher(name, **content):
        folder = tmp_path / name
        folder.mkdir()
        return TrialQueue(parsed(ONE_TEACHER), Journal(folder), content).next().id

    both = [teacher(n, **{TASK: n, f"{TASK} teach": "data"}) for n in ("switch", "translation")]
    assert both[0] == both[1] == teacher("plain", **{TASK: "data"})


def test_another_study_finds_the_teachers_and_its_ledger_says_so(tmp_path):
    one = opened(parsed(), tmp_path / "one", tmp_path / "store")
    drive(one)
    assert saved(one) == pytest.approx(6 * 100 / 3600)
    other = parsed(search={"sampler": "random", "trials": 6}, fixed={"corpus_size": 2})
    two = opened(other, tmp_path / "two", tmp_path / "store")
    assert {r.phase for r in drive(two)} == {"search"}
    assert saved(two) == pytest.approx(6 * 100 / 3600)
    assert two.journal.of(TASK, "teach") == []
    assert is_complete(other.resolve(TASK), two.journal)


def test_a_log_and_a_panel_tell_of_teachers_what_they_are(tmp_path):
    queue = opened(parsed(fixed={"corpus": "switch"}), tmp_path / "run", tmp_path / "store")
    console = Console(file=io.StringIO(), force_terminal=True, record=True, width=200)
    shown = ProgressDisplay(queue, lambda: 2, console)
    record = queue.next()
    list(toy_trial(queue, record, "finished"))
    shown.change(record)
    queue.next()
    shown.close()
    text = console.export_text()
    assert f"100/100 steps  LR={record.configuration['LR']:.3g} seed=1" in text
    assert re.search(r"teach .* 1/1", text)
    assert re.search(r"search .* 0/8", text)


def test_the_time_left_counts_the_confirmations_teachers(tmp_path):
    searched = parsed(ONE_TEACHER, search={"trials": 2}, confirm={"top": 1, "seeds": [11, 12, 13]})
    queue = opened(searched, tmp_path / "run", tmp_path / "store")
    shown = ProgressDisplay(queue, lambda: 1, Console(file=io.StringIO(), width=200))
    teacher = queue.next()
    list(toy_trial(queue, teacher, "finished"))  # of 100 seconds
    shown.change(teacher)
    assert shown._time_left() == "about 13 min left"  # 2 trials, 3 teachers, 3 trials: 800 s


def test_a_teacher_of_another_study_is_told_of_once(tmp_path):
    for place, told in (("one", 0), ("two", 1)):
        queue = opened(parsed(ONE_TEACHER), tmp_path / place, tmp_path / "store")
        file = io.StringIO()
        shown = ProgressDisplay(queue, lambda: 1, Console(file=file, width=200))
        while (record := queue.next()) is not QueueState.DONE:
            shown.change(record)
            list(toy_trial(queue, record, "finished"))
            shown.change(record)
        (line,) = {record.teacher for record in queue.journal.of(TASK, "search")}
        assert file.getvalue().splitlines().count(f"{TASK} teacher {line} from the cache") == told


def test_a_teacher_that_has_learned_nothing_is_told_of(tmp_path):
    queue = opened(parsed(ONE_TEACHER), tmp_path / "run", tmp_path / "store")
    file = io.StringIO()
    shown = ProgressDisplay(queue, lambda: 1, Console(file=file, width=200))
    while (record := queue.next()) is not QueueState.DONE:
        shown.change(record)
        list(toy_trial(queue, record, "degenerate" if record.phase == "teach" else "finished"))
        shown.change(record)
    (teacher,) = queue.journal.of(TASK, "teach")
    told = f"{TASK} teach {teacher.number} has learned nothing to teach"
    assert file.getvalue().splitlines().count(told) == 1


def test_a_teachers_settings_stand_in_every_export(tmp_path):
    searched = parsed(fixed={"corpus": "switch"})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "study.yaml").write_text(study.dump(searched))
    queue = opened(searched, tmp_path / "run", tmp_path / "store")
    drive(queue, most=6)
    results.write_exports(tmp_path / "run")
    rows = parquet.read_table(tmp_path / "run" / "xtreme-panx" / "trials.parquet").to_pylist()
    teachers = {row["id"]: row for row in rows if row["phase"] == "teach"}
    assert {row["hp.LR"] for row in teachers.values()} == {1e-5, 2e-5}
    # What no teacher reads is none of its settings.
    assert {(row["hp.corpus"], row["hp.lambda2"]) for row in teachers.values()} == {(None, None)}
    for row in rows:
        if row["phase"] == "search" and row["teacher"]:
            assert teachers[row["teacher"]]["hp.LR"] == row["hp.teacher_LR"]
    curves = tmp_path / "run" / "xtreme-panx" / "tensorboard"
    assert {path.name[:6] for path in curves.iterdir()} == {"search", "teach-"}


def test_the_ledger_counts_teachers_apart_and_only_where_there_are_some(tmp_path):
    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    drive(queue)
    table = cost_table(queue.study, queue.journal)
    assert table.row("trials finished").cells[0].value == 8
    assert table.row("teachers finished").cells[0].value == 2
    assert table.row("device hours").cells[0].value == pytest.approx(10 * 100 / 3600)
    plain = opened(parsed(fixed={"corpus": None}), tmp_path / "plain", tmp_path / "store")
    assert {r.phase for r in drive(plain)} == {"search"}
    assert not [name for name in names(plain) if "teacher" in name]


@pytest.mark.slow
@pytest.mark.parametrize("shelved", ["shelved", "not shelved", "lost"])
def test_a_run_killed_after_any_event_trains_each_teacher_once_and_its_ledger_adds_up(
    tmp_path, shelved
):
    searched = parsed(search={"trials": 8}, confirm={"top": 2, "seeds": [11]})
    drive(opened(searched, tmp_path / "whole", tmp_path / "store"))
    events = (tmp_path / "whole" / JOURNAL_NAME).read_text().splitlines(keepends=True)
    for kept in range(len(events)):
        folder, store = tmp_path / f"{kept}", tmp_path / f"store-{kept}"
        folder.mkdir()
        (folder / JOURNAL_NAME).write_text("".join(events[:kept]))
        before = read_journal(folder)
        for teacher in before.of(TASK, "teach"):
            done = teacher.seconds_by_attempt.get(1) == STEPS[-1]
            if done if shelved == "shelved" else teacher.is_over and shelved != "lost":
                copytree(tmp_path / "store" / teacher.id, store / teacher.id)
        queue = opened(searched, folder, store)
        begun = drive(queue)
        check_resumed(queue, folder, before, begun, shelved)
        queue.journal.close()


def check_resumed(queue, folder, before, begun, shelved):
    assert is_complete(queue.study.resolve(TASK), queue.journal)
    teachers = queue.journal.of(TASK, "teach")
    seeds = Counter(r.seed for r in teachers)
    assert seeds[1] == 2
    wanted = 0.0
    assert len(queue.journal.of(TASK, "search")) == 8
    assert len(queue.journal.of(TASK, "confirm")) == 2
    again = {r.id for r in begun} & {r.id for r in before.of(TASK) if r.is_over}
    assert all(queue.journal.trials[identity].phase == "teach" for identity in again)
    if shelved != "lost":
        assert not again
    if shelved == "shelved":
        whole = {r.id for r in before.of(TASK, "teach") if r.seconds_by_attempt.get(1) == STEPS[-1]}
        assert not {r.id for r in begun} & whole
    for teacher in teachers:
        assert teacher.status == "finished"
        students = [r for r in queue.journal.of(TASK) if r.teacher == teacher.id]
        one_training = teacher.device_hours - teacher.lost_device_hours
        assert all(
            r.teacher_seconds / 3600 in (teacher.lost_device_hours, one_training) for r in students
        )
        if shelved != "lost":
            wanted += (len(students) - 1) * teacher.device_hours
        else:
            alone = math.fsum(r.teacher_seconds for r in students) / 3600
            wanted += max(0.0, alone - teacher.device_hours)
    assert saved(queue) == pytest.approx(wanted)
    events = map(json.loads, (folder / JOURNAL_NAME).read_text().splitlines())
    told = Counter(event["trial"] for event in events if event["event"] == "taught")
    assert set(told.values()) == {1}
    assert len(told) == 10


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_trials_of_a_teacher_that_came_to_nothing_end_as_it_did_without_a_step(tmp_path, status):
    def outcome(record):
        return status if record.configuration.get("LR") == 1e-5 else "finished"

    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    begun = drive(queue, outcome=outcome)
    assert len(begun) == 6
    lost = [r for r in queue.journal.of(TASK, "search") if r.status == status]
    assert len(lost) == 4
    assert {r.configuration["teacher_LR"] for r in lost} == {1e-5}
    assert all(not r.attempts and not r.device_hours for r in lost)
    told = Counter((t.state, t.value) for t in queue.optuna_study(TASK).study.trials)
    if status == "diverged":
        assert told[TrialState.COMPLETE, 0.0] == 4
        assert {r.error for r in lost} == {None}
    else:
        assert told[TrialState.FAIL, None] == 4
        (teacher,) = (r for r in queue.journal.of(TASK, "teach") if r.status == "failed")
        assert all(teacher.id in r.error and "a toy broke" in r.error for r in lost)
        assert all("another --name" in r.error for r in lost)
    assert saved(queue) == pytest.approx(3 * 100 / 3600)
    assert is_complete(queue.study.resolve(TASK), queue.journal)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_crash_before_its_trials_heard_of_a_teachers_end_changes_nothing(tmp_path, status):
    queue = opened(parsed(ONE_TEACHER), tmp_path / "run", tmp_path / "store")
    list(toy_trial(queue, queue.next(), status))
    queue.journal.close()
    again = opened(parsed(ONE_TEACHER), tmp_path / "run", tmp_path / "store")
    assert drive(again) == []
    assert {r.status for r in again.journal.of(TASK, "search")} == {status}
    assert len(again.journal.of(TASK, "search")) == 8


def break_weights(place):
    content = bytearray((place / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (place / WEIGHTS).write_bytes(content)


BREAKS = {
    "cut": lambda place: (place / WEIGHTS).write_bytes((place / WEIGHTS).read_bytes()[:-4]),
    "changed": break_weights,
    "gone": lambda place: (place / WEIGHTS).unlink(),
    "no facts": lambda place: (place / FACTS).unlink(),
    "torn facts": lambda place: (place / FACTS).write_text('{"digest": '),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_torn_teacher_is_trained_anew(tmp_path, broken):
    queue = opened(parsed(ONE_TEACHER), tmp_path / "one", tmp_path / "store")
    (teacher, *_) = drive(queue, lanes=1, most=3)
    queue.journal.close()
    BREAKS[broken](tmp_path / "store" / teacher.id)
    other = opened(parsed(ONE_TEACHER), tmp_path / "two", tmp_path / "store")
    assert [r.phase for r in drive(other)].count("teach") == 1
    assert TeacherStore(tmp_path / "store").find(teacher.id)

    BREAKS[broken](tmp_path / "store" / teacher.id)  # and where the run itself had trained it
    again = opened(parsed(ONE_TEACHER), tmp_path / "one", tmp_path / "store")
    begun = drive(again)
    assert [(r.id, r.attempts) for r in begun if r.phase == "teach"] == [(teacher.id, 2)]
    assert len(again.journal.of(TASK, "teach")) == 1
    assert again.journal.trials[teacher.id].device_hours == pytest.approx(200 / 3600)
    assert saved(again) == pytest.approx((8 - 2) * 100 / 3600)  # trained twice, after all
    assert (
        list(TeacherStore(tmp_path / "store").weights(teacher.id)["weight"]) == [teacher.number] * 3
    )


def test_a_full_disk_is_told_at_once_and_the_teacher_is_trained_again_later(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(weight_arrays, "save_file", full)
        with pytest.raises(InputError, match=r"No space left(.|\n)*RAYSEARCH_CACHE(.|\n)*resume"):
            drive(queue, lanes=1)
    assert list((tmp_path / "store").iterdir()) == []
    queue.journal.close()
    again = opened(parsed(), tmp_path / "run", tmp_path / "store")
    drive(again)
    assert sorted(r.attempts for r in again.journal.of(TASK, "teach")) == [1, 2]
    assert len(again.journal.of(TASK, "search")) == 8


def test_of_two_studies_that_train_the_same_teacher_at_once_the_first_ones_stays(tmp_path):
    store = TeacherStore(tmp_path / "store")
    one, two = (opened(parsed(), tmp_path / name, tmp_path / "store") for name in ("one", "two"))
    first, second = one.next(), two.next()
    assert first.id == second.id
    list(toy_trial(one, first, "finished"))
    before = (store.folder / first.id / FACTS).stat().st_mtime_ns
    list(toy_trial(two, second, "finished"))
    assert (store.folder / first.id / FACTS).stat().st_mtime_ns == before
    assert [path.name for path in store.folder.iterdir()] == [first.id]
    drive(two)
    assert is_complete(two.study.resolve(TASK), two.journal)


def test_a_teacher_is_what_its_file_says(tmp_path):
    store = TeacherStore(tmp_path)
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.ones((), np.int64)}
    scores = {F1: 0.5}
    outcome = {"status": "finished", "score": 0.5, "best": scores, "last": scores}
    store.put("0123", weights, {"seconds": 12.5, **outcome})
    again = TeacherStore(tmp_path)
    assert again.find("0123")["seconds"] == 12.5
    assert again.find("4567") is None
    for name, array in again.weights("0123").items():
        np.testing.assert_array_equal(array, weights[name])
        assert array.dtype == weights[name].dtype


class ToyLink:
    """Stands for the link to the broker."""

    def __init__(self, weights):
        self.left, self.lent = weights, {}

    def pop_model(self, trial, weights):
        return self.left and TrainedModel(weights=self.left, predictions=b"")

    def publish_teachers(self, teachers):
        self.lent = teachers

    def running_attempts(self):
        return []

    def interrupt(self):
        self.left = None


@pytest.fixture
def conducted(tmp_path, monkeypatch):
    """A queue, its adapter and the broker, without Ray; two lanes."""
    monkeypatch.setattr("raysearch.search.tune_adapter.ray.put", lambda value: value)
    queue = opened(parsed(), tmp_path / "run", tmp_path / "store")
    broker, preparation = ToyLink({"weight": np.ones(2, np.float32)}), SimpleNamespace(error=None)
    told = []

    def keep(record, model):
        queue.store_teacher(record, model.weights)

    adapter = TuneAdapter(queue, broker, preparation, lambda: 2, told.append, keep, lambda: None)
    return queue, adapter, broker, told


def toy_step(queue, adapter, lane, order):
    """The lane's trial, to its last report but not to its end."""
    record = queue.journal.trials[order.trial]
    trial = toy_trial(queue, record, "finished")
    for _ in range(1 + len(STEPS)):
        next(trial)
    return record


def test_the_teachers_of_the_trials_that_run_lie_on_the_desk_and_no_others(conducted):
    queue, adapter, broker, _ = conducted
    running = {}
    while True:
        for lane in ("a", "b"):
            if lane not in running:
                said = adapter.suggest(lane)
                if said == "FINISHED":
                    break
                running[lane] = said["request"]
        if said == "FINISHED" and not running:
            break
        wanted = {order.teacher for order in running.values() if order} - {""}
        assert set(broker.lent) >= wanted
        assert len(broker.lent) <= 2
        for teacher in wanted:
            assert list(broker.lent[teacher][0]["weight"]) == [1, 1]
        for lane, order in list(running.items()):
            if order is None:
                adapter.on_end(lane, LaneIdle())
            else:
                toy_step(queue, adapter, lane, order)
                adapter.on_end(lane, TrialEnd(status="finished"))
            del running[lane]
    assert is_complete(queue.study.resolve(TASK), queue.journal)


def test_weights_that_cannot_be_kept_end_the_run_with_their_own_error(conducted, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    queue, adapter, *_ = conducted
    record = toy_step(queue, adapter, "a", adapter.suggest("a")["request"])
    monkeypatch.setattr(weight_arrays, "save_file", full)
    adapter.on_end("a", TrialEnd(status="finished"))  # Tune would hide what is raised here
    assert not record.is_over
    with pytest.raises(InputError, match="No space left"):
        adapter.poll()


def test_trials_that_end_without_a_step_are_told(conducted):
    queue, adapter, _, told = conducted
    order = adapter.suggest("a")["request"]
    queue.end(queue.journal.trials[order.trial], "failed", "RuntimeError: a toy broke")
    del adapter.running["a"]
    other = adapter.suggest("a")["request"]
    assert queue.journal.trials[other.trial].phase == "teach"
    assert {r.status for r in told if r.is_over} == {"failed"}
