"""What the log says of prepared data, and that its preparation ends with the run."""

import pyarrow as pa
import pytest
import ray

from raysearch import study
from raysearch.data import encoding_cache
from raysearch.search.data_preparation import (
    BackgroundPreparation,
    describe_count,
    one_label,
)
from raysearch.tasks import get


@pytest.mark.parametrize(
    ("task", "ids", "said"),
    [
        ("glue/rte", ["a", "b", "c"], "3 examples"),
        ("race/middle", [str(n // 4) for n in range(4892)], "1,223 examples (4,892 rows)"),
        ("xtreme/panx", ["0", "1", "1", "2"], "3 examples (4 rows)"),
        ("squad/v2.0", ["q1", "q1", "q1", "q2"], "2 examples (4 windows)"),
    ],
)
def test_examples_are_counted_by_their_ids_and_rows_told_where_they_are_more(task, ids, said):
    table = pa.table({"id": pa.chunked_array([ids[:2], ids[2:]])})
    assert describe_count(get(task), table) == said


@pytest.mark.parametrize(
    ("task", "labels", "text"),
    [
        ("glue/rte", [1, 1, 1], "all 3 examples that are scored have the label 'not_entailment'"),
        ("glue/stsb", [2.5, 2.5], "all 2 examples that are scored have the label '2.5'"),
        ("glue/rte", [1, 0, 1], ""),
        ("race/middle", [1, 1, 1], ""),
    ],
)
def test_dev_examples_of_one_label_are_told(task, labels, text):
    told = one_label(get(task), pa.table({"label": labels}))
    assert told.startswith(text)
    assert bool(told) == bool(text)


def test_a_run_that_ends_meanwhile_lets_its_preparation_start_no_other_ray(tmp_path, monkeypatch):
    prepare = encoding_cache.prepare

    def prepared_at_the_end(*values, **options):
        preparation.close()  # as Session does before Ray is shut down
        return prepare(*values, **options)

    monkeypatch.setattr(encoding_cache, "prepare", prepared_at_the_end)
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("Ray was started"))
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    parsed = study.parse({"tasks": ["toy/grammar"], "model": "scratch:1x32"})
    preparation = BackgroundPreparation(parsed, tmp_path, None, print)
    preparation.start(["toy/grammar"])
    preparation._thread.join()
    assert str(preparation.error) == "the run has ended"
