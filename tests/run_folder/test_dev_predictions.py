"""Kept dev predictions: written, read back and measured as the plain metrics score them."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from raysearch import metrics, tasks
from raysearch.errors import InputError
from raysearch.metrics.bootstrap_metrics import AnswerPoints
from raysearch.run_folder import Record, dev_predictions

EXAMPLES = 50


@pytest.fixture
def random():
    return np.random.default_rng(2)


def kept(tmp_path, task, columns, ids=None):
    """Write and read the predictions of one split of one trial."""
    record = Record(id="trial", number=0, task=task, phase="confirm", configuration={}, seed=1)
    ids = ids or [str(number) for number in range(EXAMPLES)]
    split = tasks.get(task).dev[0].name
    dev_predictions.write(tmp_path, record, dev_predictions.to_parquet({split: (ids, columns)}))
    return record, dev_predictions.read(tmp_path, record, tasks.get(task))[split]


def measured(table, task, metric, threshold=None):
    measure = dev_predictions.measure_of(table, tasks.get(task), metric, threshold)
    score = float(measure(np.ones((1, table.num_rows)))[0])
    points = dev_predictions.points_of(table, tasks.get(task), metric, threshold)
    assert (points is not None) == (metric in ("accuracy", "exact", "f1"))
    if points is not None:
        assert points.shape == (table.num_rows,)
        assert points.mean() == pytest.approx(score, abs=1e-12)
    return score


@pytest.mark.parametrize("task", ["glue/cola", "glue/stsb", "race/middle"])
def test_classes_numbers_and_options(task, tmp_path, random):
    gold = random.integers(0, 2, EXAMPLES)
    predictions = np.where(random.random(EXAMPLES) < 0.2, 1 - gold, gold)
    _, table = kept(tmp_path, task, dev_predictions.class_columns(predictions, gold))
    for metric in tasks.get(task).metrics:
        expected = metrics.score([metric], predictions, gold)[metric]
        assert measured(table, task, metric) == pytest.approx(expected, abs=1e-12)


def test_tags(tmp_path, random):
    task = tasks.get("xtreme/panx")
    gold = [random.integers(0, len(task.labels), random.integers(1, 7)) for _ in range(EXAMPLES)]
    tags = [np.where(random.random(len(row)) < 0.3, 0, row) for row in gold]
    _, table = kept(tmp_path, task.name, dev_predictions.tag_columns(tags, gold))
    plain = [dict(enumerate(row.tolist() for row in rows)) for rows in (tags, gold)]
    expected = metrics.token_classification.score(task.metrics, *plain, task.labels)
    assert {m: measured(table, task.name, m) for m in task.metrics} == pytest.approx(expected)


@pytest.mark.parametrize("task", ["squad/v1.1", "squad/v2.0"])
def test_answers(task, tmp_path, random):
    facts = tasks.get(task)
    ids = [str(number) for number in range(EXAMPLES)]
    gold = {i: ("a red fox",) if random.random() < 0.6 or not facts.unanswerable else ()
            for i in ids}  # fmt: skip
    answers = {i: str(random.choice(["red fox", "the fox", "a cow"])) for i in ids}
    nulls = {i: float(random.normal()) for i in ids} if facts.unanswerable else None
    points = AnswerPoints.of(answers, gold, nulls=nulls, unanswerable=facts.unanswerable)
    groups = [int(i) // 10 for i in ids]
    columns = dev_predictions.answer_columns([*answers.values()], points, groups)
    _, table = kept(tmp_path, task, columns, ids)
    expected = metrics.squad.score(
        facts.metrics, answers, gold,
        nulls=nulls, threshold=0.1 if nulls else None, unanswerable=facts.unanswerable,
    )  # fmt: skip
    assert {m: measured(table, task, m, 0.1) for m in facts.metrics} == pytest.approx(expected)
    assert len(np.unique(dev_predictions.sample_of(table, facts).clusters)) == 5


def test_masked_tokens(tmp_path, random):
    sums = np.stack([-random.random(EXAMPLES), random.integers(0, 3, EXAMPLES),
                     np.full(EXAMPLES, 4)], 1)  # fmt: skip
    task = next(name for name in tasks.TASKS if tasks.get(name).metric == "masked_accuracy")
    _, table = kept(tmp_path, task, dev_predictions.masked_columns(sums))
    expected = metrics.masked_lm.score(tasks.get(task).metrics, sums)
    assert {m: measured(table, task, m) for m in expected} == pytest.approx(expected)


def test_predictions_that_were_not_kept_are_none(tmp_path):
    record = Record(id="x", number=0, task="glue/rte", phase="search", configuration={}, seed=1)
    assert dev_predictions.read(tmp_path, record, tasks.get("glue/rte")) is None


@pytest.mark.parametrize("damage", ["torn", "columns", "types", "empty"])
def test_a_damaged_file_is_refused_with_its_place(damage, tmp_path):
    columns = dev_predictions.class_columns(np.zeros(EXAMPLES), np.zeros(EXAMPLES))
    record, table = kept(tmp_path, "glue/rte", columns)
    (path,) = tmp_path.rglob("*.parquet")
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "columns":
        parquet.write_table(table.drop_columns(["gold"]), path)
    elif damage == "types":
        gold = pa.array(["1"] * EXAMPLES)
        parquet.write_table(table.drop_columns(["gold"]).append_column("gold", gold), path)
    else:
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"trial\.parquet"):
        dev_predictions.read(tmp_path, record, tasks.get("glue/rte"))
