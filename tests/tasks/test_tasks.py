"""The table of tasks: facts that the rows must agree on, whatever the benchmark."""

from dataclasses import FrozenInstanceError

import pytest

from raysearch.data.readers import READERS
from raysearch.errors import InputError
from raysearch.tasks import TASKS, expand, get, glue
from raysearch.tasks.sources import source_of

# Where GLUE's site wants predictions, https://gluebenchmark.com/faq.
SUBMISSIONS = {
    "CoLA.tsv",
    "SST-2.tsv",
    "MRPC.tsv",
    "STS-B.tsv",
    "QQP.tsv",
    "MNLI-m.tsv",
    "MNLI-mm.tsv",
    "QNLI.tsv",
    "RTE.tsv",
    "WNLI.tsv",
    "AX.tsv",
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_row_agrees_with_itself(task):
    names = [split.name for split in (*task.training_splits(), *task.dev, *task.test)]
    assert len(set(names)) == len(names) == len(task.splits())
    assert task.slug == task.name.replace("/", "-")
    assert task.reader in READERS
    assert task.bounds is None or task.facts.numeric_labels
    assert task.bounds is not None or task.head != "regress"
    assert bool(task.labels) or task.head != "classify"
    assert task.train is None or task.dev
    assert task.train is not None or task.predicted_by in TASKS


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_test_labels_cannot_be_read(task):
    for split in task.test:
        assert not split.labelled
        assert split.gold or all("label" not in file.columns for file in split.files)
        assert split.labelled_copy().labelled


@pytest.mark.parametrize("task", glue.TASKS, ids=lambda task: task.name)
def test_files_of_a_split_give_every_input_and_the_label(task):
    for split in task.splits().values():
        needed = {*task.inputs, *(["label"] if split.labelled else [])}
        for file in split.files:
            assert needed <= set(file.columns)
            assert all(isinstance(column, str) == file.header for column in file.columns.values())


def test_glue_has_the_submissions_that_its_site_takes():
    assert {split.submission for task in glue.TASKS for split in task.test} == SUBMISSIONS


def test_mnli_is_selected_by_its_matched_split_and_predicts_the_diagnostic_set():
    mnli, diagnostic = get("glue/mnli"), get("glue/ax")
    assert [split.name for split in mnli.dev] == ["matched", "mismatched"]
    assert diagnostic.predicted_by == mnli.name
    assert (diagnostic.inputs, diagnostic.labels) == (mnli.inputs, mnli.labels)


def test_a_regression_has_one_output_and_a_classification_one_per_label():
    assert get("glue/stsb").outputs == 1
    assert get("glue/mnli").outputs == 3


def test_metrics_begin_with_the_one_that_selects():
    assert get("glue/stsb").metrics == ("pearson_spearman", "pearson", "spearman")
    assert get("glue/cola").metrics == ("mcc", "accuracy")


def test_a_pattern_gives_the_tasks_that_can_be_trained():
    assert "glue/ax" not in expand("glue/*")
    assert set(glue.AVERAGED) < set(expand("glue/*"))
    assert expand("toy/*") == ("toy/grammar",)
    assert expand("nothing/*") == ()


def test_an_unknown_task_is_answered_with_the_nearest_name():
    with pytest.raises(InputError, match="no task named 'glue/rtee'; did you mean 'glue/rte'"):
        get("glue/rtee")


def test_the_part_of_a_hub_data_set_is_named_only_where_it_has_the_tasks_name():
    sources = [source_of(get(name)) for name in ("glue/rte", "race/middle", "xtreme/pawsx")]
    assert [(source.hub, source.hub_config) for source in sources] == [
        ("nyu-mll/glue", "rte"), ("ehovy/race", "middle"), ("google/xtreme", ""),
    ]  # fmt: skip


def test_a_row_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        get("glue/rte").metric = "f1"
