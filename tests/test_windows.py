"""Windows, answers and labels of spans, against loops over the published rules on real text."""

import itertools
import re
import string
from pathlib import Path

import pytest
from conftest import toy_tokenizer

from raysearch import readers, tasks
from raysearch.models.pretrained import read_tokenizer
from raysearch.prepare import windows
from raysearch.recipes import Hyper

SHARED = Path(__file__).parents[2] / "shared"
ENCODER = SHARED / "models" / "minilm-l6"
real = pytest.mark.skipif(not ENCODER.is_dir(), reason="needs the published files in shared/")


def plain(text: str) -> str:
    """SQuAD's normalisation, step by step."""
    letters = [letter for letter in text.lower() if letter not in string.punctuation]
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", "".join(letters)).split())


def covering(offsets, start, stop):
    """The tokens that share a character with [start, stop): first and last."""
    inside = [at for at, (one, two) in enumerate(offsets) if one < stop and two > start]
    return inside[0], inside[-1]


def slow(example, tokenizer, hyper):
    """Every window as (ids, first token of its context, start, end, impossible), one by one."""
    query = tokenizer(example["question"].lstrip(), add_special_tokens=False)["input_ids"]
    query = query[: hyper.query_length]
    context = example["context"]
    made = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = made["input_ids"], made["offset_mapping"]
    span = None
    if example["answers"]:
        text, start = example["answers"][0]
        tries = [start]
        tries += [at for at in range(len(context), -1, -1) if context.startswith(text, at)]
        for at in tries:
            first, last = covering(offsets, at, at + len(text))
            if plain(context[offsets[first][0] : offsets[last][1]]) == plain(text):
                span = first, last
                break
        else:
            if re.fullmatch(r"\d+\.?\d*", text):
                return []
            span = covering(offsets, start, start + len(text))
    room = hyper.max_length - len(query) - 3
    step = hyper.doc_stride if hyper.stride_as == "step" else room - hyper.doc_stride
    found = []
    for begin in itertools.count(0, min(step, room)):
        part = ids[begin : begin + room]
        cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        row = [cls, *query, sep, *part, sep]
        shift = len(query) + 2 - begin
        held = span is not None and span[0] >= begin and span[1] < begin + len(part)
        where = (span[0] + shift, span[1] + shift) if held else (0, 0)
        found.append((row, len(query) + 2, *where, int(not held)))
        if begin + room >= len(ids):
            return found


def ours(examples, tokenizer, hyper):
    columns = windows.encode(examples, None, tokenizer, hyper, train=True)
    names = ("input_ids", "at", "start", "end", "impossible")
    rows = zip(*(columns[name].to_pylist() for name in names), strict=True)
    found = {}
    for identity, row in zip(columns["id"].to_pylist(), rows, strict=True):
        found.setdefault(identity, []).append(row)
    return found


def take(task, split, count):
    """So many examples, spread over the whole file."""
    row = tasks.get(task)
    everything = list(readers.read(row, row.splits()[split].with_gold(), SHARED / "data"))
    return everything[:: max(1, len(everything) // count)][:count]


@real
@pytest.mark.parametrize(
    ("task", "split", "count"),
    [("squad/v1.1", "train", 300), ("squad/v2.0", "train", 300),
     ("xtreme/xquad", "test-de", 150), ("xtreme/xquad", "test-zh", 150)],
)  # fmt: skip
@pytest.mark.parametrize(
    "settings", [{}, {"max_length": 128, "doc_stride": 32},
                 {"max_length": 160, "doc_stride": 40, "stride_as": "overlap", "query_length": 9}],
)  # fmt: skip
def test_windows_and_labels_are_those_of_a_slow_reference(task, split, count, settings):
    tokenizer = read_tokenizer(str(ENCODER), ())
    hyper = Hyper(**{"max_length": 384} | settings)
    examples = take(task, split, count)
    found = ours(examples, tokenizer, hyper)
    for example in examples:
        assert found.get(example["id"], []) == slow(example, tokenizer, hyper), example


@real
def test_an_answer_is_a_slice_of_its_context_whatever_the_tokenizer_cuts():
    tokenizer = read_tokenizer(str(ENCODER), ())
    examples = take("squad/v1.1", "train", 300)
    texts = windows._texts(tokenizer, [example["context"] for example in examples])
    exact = 0
    for example in examples:
        text, (answer, _) = texts[example["context"]], example["answers"][0]
        span = windows._answer(example, text)
        if span is not None:
            said = example["context"][text.begin[span[0]] : text.stop[span[1]]]
            exact += plain(said) == plain(answer)
    assert exact >= 0.98 * len(examples)


def test_each_token_is_owned_by_the_window_that_shows_most_around_it():
    spans = [(0, 10), (4, 14), (8, 15)]
    owner = windows.owners(spans, 15)
    for token in range(15):
        scores = [
            min(token - first, last - 1 - token) + 0.01 * (last - first)
            if first <= token < last else -1
            for first, last in spans
        ]  # fmt: skip
        assert owner[token] == scores.index(max(scores))


def test_a_number_of_which_no_token_ends_is_no_training_example():
    tokenizer = toy_tokenizer()
    example = {"id": "0", "question": "w1", "context": "w2 w30 w4", "answers": (("3", 4),),
               "label": None}  # fmt: skip
    assert ours([example], tokenizer, Hyper(max_length=16)) == {}


@pytest.mark.parametrize("tokens", [0, 1, 13, 14, 40])
@pytest.mark.parametrize("overlap", [False, True])
def test_windows_cover_every_token(tokens, overlap):
    hyper = Hyper(doc_stride=5, stride_as="overlap" if overlap else "step")
    spans = list(windows.windows(tokens, 13, hyper))
    assert {token for first, last in spans for token in range(first, last)} == set(range(tokens))
    assert all(last - first <= 13 for first, last in spans)
    for one, two in itertools.pairwise(spans):
        assert two[0] - one[0] == (8 if overlap else 5)


@real
@pytest.mark.parametrize(("stride_as", "published"), [("step", 10_833), ("overlap", 10_784)])
def test_the_published_counts_of_windows(stride_as, published):
    """Of SQuAD 1.1's dev set at 384 tokens and stride 128: BERT's code, and transformers'."""
    tokenizer, task = read_tokenizer(str(ENCODER), ()), tasks.get("squad/v1.1")
    hyper = Hyper(max_length=384, stride_as=stride_as)
    examples = list(readers.read(task, task.dev[0], SHARED / "data"))
    texts = windows._texts(tokenizer, [example["context"] for example in examples])
    queries = windows._ids(tokenizer, [example["question"].lstrip() for example in examples])
    count = 0
    for example, query in zip(examples, queries, strict=True):
        room = 384 - 3 - min(64, len(query))
        count += len(list(windows.windows(len(texts[example["context"]].ids), room, hyper)))
    assert count == published
