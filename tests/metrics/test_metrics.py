"""The metrics against scikit-learn and scipy, and on input on which formulas divide by zero."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from raysearch.errors import InputError
from raysearch.metrics import METRICS, average, score, worst
from raysearch.tasks import glue

RANDOM = np.random.default_rng(7)
# The root README of AMOS, base++, dev medians, in the order of glue.AVERAGED.
AMOS = (90.5, 92.4, 94.4, 95.5, 71.8, 86.6, 91.7, 92.0)


def classes(count, size):
    return RANDOM.integers(0, count, size), RANDOM.integers(0, count, size)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
def test_binary_metrics_are_those_of_scikit_learn(size):
    for _ in range(20):
        predictions, gold = classes(2, size)
        ours = score(["accuracy", "f1", "mcc"], predictions, gold)
        accuracy = oracle.accuracy_score(gold, predictions)
        f1 = oracle.f1_score(gold, predictions, zero_division=0)
        with warnings.catch_warnings(action="ignore"):
            mcc = oracle.matthews_corrcoef(gold, predictions)
        expected = {"accuracy": accuracy, "f1": f1, "mcc": mcc}
        assert ours == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [3, 5])
def test_mcc_of_several_classes_is_that_of_scikit_learn(count):
    for size in (4, 50, 500):
        predictions, gold = classes(count, size)
        expected = oracle.matthews_corrcoef(gold, predictions)
        assert score(["mcc"], predictions, gold)["mcc"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["smooth", "ties", "far from zero", "tiny", "outlier"])
@pytest.mark.parametrize("size", [2, 3, 17, 800])
def test_correlations_are_those_of_scipy(kind, size):
    gold = RANDOM.uniform(0, 5, size)
    predictions = gold + RANDOM.normal(0, 1, size)
    if kind == "ties":
        predictions, gold = np.round(predictions), np.round(gold)
        predictions[0], gold[0] = 9.0, -9.0
    elif kind == "far from zero":
        predictions = predictions + 1e6
    elif kind == "tiny":
        predictions = predictions * 1e-150
    elif kind == "outlier":
        predictions[0] = 1e9
    ours = score(["pearson", "spearman", "pearson_spearman"], predictions, gold)
    scale = 1e150 if kind == "tiny" else 1
    pearson = stats.pearsonr(predictions * scale, gold).statistic
    spearman = stats.spearmanr(predictions, gold).statistic
    assert ours["pearson"] == pytest.approx(pearson, abs=1e-9)
    assert ours["spearman"] == pytest.approx(spearman, abs=1e-12)
    assert ours["pearson_spearman"] == pytest.approx((pearson + spearman) / 2, abs=1e-9)


@pytest.mark.parametrize("metric", sorted({*METRICS} - {"gender_parity"}))
def test_every_metric_is_one_for_gold_itself_and_never_below_its_worst(metric):
    gold = np.array([0, 1, 1, 0, 1])
    groups = "abcde"
    assert score([metric], gold, gold, groups)[metric] == pytest.approx(1.0)
    assert score([metric], 1 - gold, gold, groups)[metric] == pytest.approx(worst(metric))


def test_macro_f1_is_the_mean_over_the_classes_that_occur():
    # F1 of class 0: 2 of (3 + 2); of class 1: 0; of class 2, which is predicted only: 0.
    scores = score(["macro_f1", "accuracy"], [0, 0, 0, 2], [0, 0, 1, 1])
    assert scores == {"macro_f1": pytest.approx((4 / 5 + 0 + 0) / 3), "accuracy": 0.5}


def test_a_question_is_exact_if_all_its_answers_are_right():
    gold, predictions = [1, 0, 1, 0, 0, 1], [1, 0, 1, 1, 0, 1]
    groups = ["0/0", "0/0", "0/1", "0/1", "1/2", "1/3"]
    scores = score(["f1", "question_exact"], predictions, gold, groups)
    assert scores == {"f1": pytest.approx(6 / 7), "question_exact": 3 / 4}


def test_gender_parity_is_the_share_of_pairs_with_one_prediction():
    gold, predictions = [0, 0, 1, 1], [1, 1, 0, 1]
    scores = score(["accuracy", "gender_parity"], predictions, gold, ["7", "7", "8", "8"])
    assert scores == {"accuracy": 0.25, "gender_parity": 0.5}


@pytest.mark.parametrize("metric", ["mcc", "pearson", "spearman", "pearson_spearman"])
@pytest.mark.parametrize("constant", [0, 1, 0.1, -3.7])
def test_correlation_with_constant_predictions_is_zero(metric, constant):
    predictions = np.full(7, constant)
    assert score([metric], predictions, [0, 1, 2, 3, 4, 5, 6])[metric] == 0.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("gold", [[1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
def test_every_metric_is_finite_on_degenerate_input(metric, gold):
    for value in (0, 1, 1e308, -1e308, 1e-320):
        result = score([metric], np.full(len(gold), value), gold, ["a"] * len(gold))[metric]
        assert worst(metric) <= result <= 1.0
    assert np.isfinite(score([metric], np.array([1e308, -1e308]), [0, 1], "ab")[metric])


@pytest.mark.parametrize("metric", METRICS)
def test_predictions_that_are_not_finite_score_the_worst(metric):
    assert score([metric], [0.0, float("nan")], [0, 1]) == {metric: worst(metric)}
    assert score([metric], [0.0, float("inf")], [0, 1]) == {metric: worst(metric)}


def test_half_precision_predictions_are_scored_in_double_precision():
    gold = RANDOM.uniform(0, 5, 500)
    predictions = (gold * 1e4).astype(np.float16)
    assert score(["pearson"], predictions, gold)["pearson"] > 0.999


def test_scores_come_in_the_order_asked_for():
    assert list(score(["f1", "accuracy"], [0, 1], [0, 1])) == ["f1", "accuracy"]


def test_all_that_is_wrong_with_a_call_is_said_at_once():
    with pytest.raises(InputError) as caught:
        score(["acuracy"], [0, 1, 1], [0, 1])
    assert "no metric named 'acuracy'; did you mean 'accuracy'?" in str(caught.value)
    assert "[3] predictions for [2] gold labels" in str(caught.value)
    with pytest.raises(InputError, match="nothing to score"):
        score(["f1"], [], [])
    with pytest.raises(InputError, match="nan or inf"):
        score(["pearson"], [0.0, 1.0], [0.0, float("nan")])
    with pytest.raises(InputError, match="did you mean 'pearson'"):
        worst("peerson")


def test_average_is_that_of_the_papers():
    scores = dict(zip(glue.AVERAGED, AMOS, strict=True))
    assert round(average({**scores, "glue/wnli": 56.3}, glue.AVERAGED), 1) == 89.4


def test_average_over_fewer_tasks_than_a_paper_is_none():
    assert average({"glue/rte": 86.6}, glue.AVERAGED) is None
    assert average({}, ()) is None


def test_every_metric_of_the_glue_rows_is_in_the_table():
    assert {metric for task in glue.TASKS for metric in task.metrics} <= set(METRICS)
