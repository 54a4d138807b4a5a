"""What the log says of prepared data: examples, and their rows where these are more."""

import pyarrow as pa
import pytest

from raysearch.search.data_preparation import describe_count, one_label
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
