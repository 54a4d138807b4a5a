"""Bootstrap metrics against the plain ones on examples that are repeated by their weights."""

import numpy as np
import pytest

from raysearch.metrics import METRICS, bootstrap_metrics, squad, token_classification
from raysearch.metrics import masked_lm as masked_lm_metrics
from raysearch.metrics import score as classification_score

DRAWS, EXAMPLES = 6, 60
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
WORDS = ("red", "green", "blue", "old", "new")


@pytest.fixture
def random():
    return np.random.default_rng(5)


@pytest.fixture
def weights(random):
    """Integer weights [draws, examples]; the first draw has every example once."""
    rows = random.multinomial(EXAMPLES, np.full(EXAMPLES, 1 / EXAMPLES), size=DRAWS)
    rows[0] = 1
    return rows.astype(float)


def repeated(row):
    """The index of each example as often as its weight says."""
    return np.repeat(np.arange(EXAMPLES), row.astype(int))


OF_EXAMPLES = [name for name, metric in METRICS.items() if not metric.of_groups]
OF_GROUPS = [name for name, metric in METRICS.items() if metric.of_groups]


@pytest.mark.parametrize("metric", OF_EXAMPLES)
@pytest.mark.parametrize("classes", [2, 4])
def test_classes_and_numbers(metric, classes, random, weights):
    gold = random.integers(0, classes, EXAMPLES)
    predictions = np.where(random.random(EXAMPLES) < 0.3, random.integers(0, classes), gold)
    if "s" in metric[:2] or "pearson" in metric:  # numbers, with ties
        gold = gold + random.integers(0, 3, EXAMPLES) / 2
        predictions = gold + random.normal(size=EXAMPLES).round(1)
    measured = bootstrap_metrics.classification_measure(metric, predictions, gold)(weights)
    for row, value in zip(weights, measured, strict=True):
        rows = repeated(row)
        expected = classification_score([metric], predictions[rows], gold[rows])[metric]
        assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", OF_GROUPS)
def test_metrics_of_groups_count_each_group_as_often_as_it_was_drawn(metric, random):
    groups = np.repeat(np.arange(20), 3)
    gold, predictions = random.integers(0, 2, 60), random.integers(0, 2, 60)
    draws = random.multinomial(20, np.full(20, 1 / 20), size=DRAWS).astype(float)
    draws[0] = 1
    names = [str(group) for group in groups]
    measured = bootstrap_metrics.classification_measure(metric, predictions, gold, names)
    for draw, value in zip(draws, measured(draws[:, groups]), strict=True):
        copies = [(g, n) for g in range(20) for n in range(int(draw[g]))]
        rows = np.concatenate([np.flatnonzero(groups == g) for g, _ in copies])
        copied = [f"{g} {n}" for g, n in copies for _ in range(3)]
        expected = classification_score([metric], predictions[rows], gold[rows], copied)[metric]
        assert 0 < value < 1
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", OF_EXAMPLES)
def test_constant_predictions_and_those_that_are_not_finite_score_as_plain(metric, weights):
    gold = np.arange(EXAMPLES) % 2
    for predictions in (np.zeros(EXAMPLES), np.full(EXAMPLES, np.nan)):
        measured = bootstrap_metrics.classification_measure(metric, predictions, gold)(weights)
        assert measured[0] == classification_score([metric], predictions, gold)[metric]


@pytest.mark.parametrize("metric", token_classification.SCORES)
def test_tags_of_words(metric, random, weights):
    gold = {str(i): random.integers(0, len(TAGS), random.integers(1, 9)) for i in range(EXAMPLES)}
    predictions = {
        name: np.where(random.random(len(tags)) < 0.3, random.integers(0, len(TAGS)), tags)
        for name, tags in gold.items()
    }
    measured = bootstrap_metrics.tag_measure(metric, predictions, gold, TAGS)(weights)
    names = [*gold]
    for row, value in zip(weights, measured, strict=True):
        copies = [(f"{n}-{names[i]}", names[i]) for n, i in enumerate(repeated(row))]
        expected = token_classification.score(
            [metric],
            {copy: predictions[name].tolist() for copy, name in copies},
            {copy: gold[name].tolist() for copy, name in copies},
            TAGS,
        )
        assert value == pytest.approx(expected[metric], abs=1e-12)


@pytest.mark.parametrize("metric", squad.SCORES)
@pytest.mark.parametrize("threshold", [None, 0.2])
def test_answers(metric, threshold, random, weights):
    def text():
        return " ".join(random.choice(WORDS, random.integers(1, 4)))

    version_2 = metric not in ("exact", "f1") or threshold is not None
    ids = [str(i) for i in range(EXAMPLES)]
    gold = {i: () if version_2 and random.random() < 0.4 else (text(), text()) for i in ids}
    predictions = {i: answers[0] if answers and random.random() < 0.5 else text()
                   for i, answers in gold.items()}  # fmt: skip
    nulls = {i: round(random.normal(), 1) for i in ids}
    points = bootstrap_metrics.AnswerPoints.of(
        predictions, gold, nulls=nulls if version_2 else None, unanswerable=version_2
    )
    measure = bootstrap_metrics.answer_measure(
        metric, points, threshold=threshold, unanswerable=version_2
    )
    measured = measure(weights)
    for row, value in zip(weights, measured, strict=True):
        copies = {f"{n}-{i}": str(i) for n, i in enumerate(repeated(row))}
        expected = squad.score(
            [metric],
            {copy: predictions[i] for copy, i in copies.items()},
            {copy: gold[i] for copy, i in copies.items()},
            nulls={copy: nulls[i] for copy, i in copies.items()} if version_2 else None,
            threshold=threshold,
            unanswerable=version_2,
        )
        assert value == pytest.approx(expected[metric], abs=1e-12)


@pytest.mark.parametrize("metric", masked_lm_metrics.SCORES)
def test_masked_tokens(metric, random, weights):
    count = random.integers(1, 20, EXAMPLES)
    sums = np.stack([-random.gamma(2, size=EXAMPLES) * count, count // 2, count], 1)
    measured = bootstrap_metrics.masked_lm_measure(metric, sums)(weights)
    for row, value in zip(weights, measured, strict=True):
        expected = masked_lm_metrics.score([metric], sums[repeated(row)])[metric]
        assert value == pytest.approx(expected, rel=1e-12)
