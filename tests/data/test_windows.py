"""Windows, answers and labels of spans, against loops over the published rules on real text."""

import itertools
import json
import re
import string

import numpy as np
import pytest
from support.paths import SHARED
from support.toys import toy_tokenizer
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer

from raysearch import study, tasks
from raysearch.data import readers
from raysearch.data.encoders import question_answering
from raysearch.data.encoding_cache import prepare
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models.pretrained import read_tokenizer
from raysearch.recipes import Hyperparameters

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
    columns = question_answering.encode(examples, None, tokenizer, hyper, train=True)
    names = ("input_ids", "at", "start", "end", "impossible")
    rows = zip(*(columns[name].to_pylist() for name in names), strict=True)
    found = {}
    for identity, row in zip(columns["id"].to_pylist(), rows, strict=True):
        found.setdefault(identity, []).append(row)
    return found


def take(task, split, count):
    """So many examples, spread over the whole file."""
    row = tasks.get(task)
    everything = list(readers.read(row, row.splits()[split].labelled_copy(), SHARED / "data"))
    return everything[:: max(1, len(everything) // count)][:count]


@pytest.mark.slow
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
    hyper = Hyperparameters(**{"max_length": 384} | settings)
    examples = take(task, split, count)
    found = ours(examples, tokenizer, hyper)
    for example in examples:
        assert found.get(example["id"], []) == slow(example, tokenizer, hyper), example


@pytest.mark.slow
@real
def test_an_answer_is_a_slice_of_its_context_whatever_the_tokenizer_cuts():
    tokenizer = read_tokenizer(str(ENCODER), ())
    examples = take("squad/v1.1", "train", 300)
    texts = question_answering._tokenize_contexts(
        tokenizer, [example["context"] for example in examples]
    )
    exact = 0
    for example in examples:
        text, (answer, _) = texts[example["context"]], example["answers"][0]
        span = question_answering._answer_tokens(example, text)
        if span is not None:
            said = example["context"][text.begin[span[0]] : text.stop[span[1]]]
            exact += plain(said) == plain(answer)
    assert exact >= 0.98 * len(examples)


def test_each_token_is_owned_by_the_window_that_shows_most_around_it():
    spans = [(0, 10), (4, 14), (8, 15)]
    owner = question_answering.max_context_windows(spans, 15)
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
    assert ours([example], tokenizer, Hyperparameters(max_length=16)) == {}


# Where an answer begins and ends

TEXTS = ["it was in paris in 1990 .", "we met in cafe louvre", "men wear size 7 3 4 hats"]


@pytest.fixture(scope="module")
def uncased():
    """A toy of BERT's tokenizer: it strips accents, white space and what no one sees."""
    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(TEXTS * 30, vocab_size=300, show_progress=False)
    return BertTokenizer(vocab=trained.get_vocab())


def learned(tokenizer, context, answer, start=None):
    """The text between the labels of a training example; None where it is left out."""
    start = context.find(answer) if start is None else start
    example = {"id": "0", "question": "what", "context": context, "label": None,
               "answers": ((answer, start),)}  # fmt: skip
    rows = ours([example], tokenizer, Hyperparameters(max_length=64)).get("0")
    if rows is None:
        return None
    _, at, first, last, _ = rows[0]
    offsets = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
    return context[
        offsets["offset_mapping"][first - at][0] : offsets["offset_mapping"][last - at][1]
    ]


@pytest.mark.parametrize(
    ("context", "answer", "right"),
    [
        ("It was in Paris in 1990.", " Paris", "Paris"),
        ("It was in Paris in 1990.", "Paris ", "Paris"),
        ("It was in Paris in 1990.", " Paris in ", "Paris in"),
        ("It was in\u200b Paris in 1990.", "\u200b Paris", "Paris"),
        ("It was in Paris\u200b\u200b in 1990.", "Paris\u200b\u200b ", "Paris"),
        ("It was in Paris \ufffd in 1990.", "Paris \ufffd", "Paris"),
        ("It was in \ufffd Paris in 1990.", "\ufffd Paris", "Paris"),
        ("men wear size 7 3 4", "size ", "size"),
        ("men wear size 7 3 4", " 7", "7"),
        ("men wear size 7 3 4", "4", "4"),
        ("  It was in Paris", "  It", "It"),
        ("It was in Paris  ", "Paris  ", "Paris"),
    ],
)
def test_an_answer_is_the_tokens_that_share_a_character_with_it(uncased, context, answer, right):
    assert learned(uncased, context, answer) == right


def test_an_answer_that_ends_with_an_accent_of_its_own_does_not_take_the_word_behind(uncased):
    context = "we met in cafe\u0301 louvre"
    assert learned(uncased, context, "cafe\u0301").rstrip("\u0301") == "cafe"
    assert learned(uncased, context, "\u0301 louvre", 14).lstrip("\u0301 ") == "louvre"


@pytest.mark.parametrize(("start", "stop"), [(2, 9), (3, 9), (4, 9), (4, 11), (2, 11)])
def test_a_token_of_white_space_alone_is_no_edge_of_an_answer(start, stop):
    """Byte-level BPE has a token for the first of two spaces; without them it is empty."""
    begin, end = np.array([0, 3, 4, 10, 11], np.int32), np.array([2, 3, 9, 10, 13], np.int32)
    text = question_answering.TokenizedContext(
        ids=np.arange(5, dtype=np.int32), begin=begin, stop=end
    )  # in  Paris  in
    assert question_answering._overlapping_tokens(text, start, stop) == (2, 2)


@pytest.mark.parametrize("answer", ["\u200b", "\ufffd", " \u200b "])
def test_an_answer_that_no_token_covers_is_left_out_and_counted(uncased, answer):
    context = f"it was in {answer} paris"
    assert learned(uncased, context, answer) is None
    chunk = [
        {
            "id": name,
            "question": "what",
            "context": context,
            "label": None,
            "answers": ((text, 10),),
        }
        for name, text in (("0", answer), ("1", f"{answer} paris"))
    ]
    columns = question_answering.encode(
        chunk, None, uncased, Hyperparameters(max_length=64), train=True
    )
    assert columns["id"].to_pylist() == ["1"]
    assert "no tokens spell their answer" in question_answering.ENCODER.lost


@pytest.mark.parametrize(
    ("start", "stop", "tokens"),
    [(0, 1, (0, 1)), (1, 2, (2, 4)), (0, 2, (0, 4)), (2, 3, None), (3, 4, (5, 5)), (2, 4, (5, 5))],
)
def test_all_pieces_of_a_character_are_of_the_answer_that_holds_it(start, stop, tokens):
    """Bytes of a letter, or what a syllable of Hangul is taken apart to, share its place."""
    begin, end = np.array([0, 0, 1, 1, 1, 3]), np.array([1, 1, 2, 2, 2, 4])
    text = question_answering.TokenizedContext(ids=np.arange(6), begin=begin, stop=end)
    assert question_answering._overlapping_tokens(text, start, stop) == tokens


@real
def test_a_korean_answer_keeps_the_pieces_of_its_first_and_last_syllable():
    """An uncased tokenizer takes syllables apart; each piece has the place of the syllable."""
    tokenizer = read_tokenizer(str(ENCODER), ())
    context = "\ubc14\ud140\uc5c5 \uc774\uc624"
    made = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
    inside = [at for at, (one, two) in enumerate(made["offset_mapping"]) if one < 3 and two > 0]
    example = {"id": "0", "question": "what", "context": context, "label": None,
               "answers": (("\ubc14\ud140\uc5c5", 0),)}  # fmt: skip
    ((_, at, first, last, _),) = ours([example], tokenizer, Hyperparameters(max_length=64))["0"]
    assert (first - at, last - at) == (inside[0], inside[-1])
    assert len(inside) > 3


@pytest.mark.slow
@real
@pytest.mark.parametrize(("task", "split"), [("squad/v1.1", "train"), ("xtreme/tydiqa", "train")])
def test_no_answer_of_the_published_files_takes_a_word_that_is_not_in_it(task, split):
    tokenizer = read_tokenizer(str(ENCODER), ())
    for example in take(task, split, 1000):
        (answer, start), context = example["answers"][0], example["context"]
        text = question_answering._tokenize_contexts(tokenizer, [context])[context]
        span = question_answering._overlapping_tokens(text, start, start + len(answer))
        assert span is not None, example
        inside = range(start, start + len(answer))
        for token in span:
            assert set(range(text.begin[token], text.stop[token])) & set(inside), example


# Contexts and questions without tokens


@pytest.mark.parametrize("context", ["", "   ", "\u200b\u200b", "\ufffd"])
@pytest.mark.parametrize("overlap", ["step", "overlap"])
def test_a_context_without_tokens_is_one_empty_window_and_none_to_train_on(
    uncased, context, overlap
):
    example = {"id": "0", "question": "what", "context": context, "label": None, "answers": ()}
    hyper = Hyperparameters(max_length=64, doc_stride=8, stride_as=overlap)
    columns = question_answering.encode([example], None, uncased, hyper, train=False)
    assert columns["count"].to_pylist() == [0]
    assert columns["owned"].to_pylist() == [[]]
    asked = uncased("what", add_special_tokens=False)["input_ids"]
    cls, sep = uncased.cls_token_id, uncased.sep_token_id
    assert columns["input_ids"].to_pylist() == [[cls, *asked, sep, sep]]
    assert (
        question_answering.encode([example], None, uncased, hyper, train=True)["id"].to_pylist()
        == []
    )


def test_a_question_without_tokens_leaves_all_the_room_to_its_context(uncased):
    example = {"id": "0", "question": " \u200b", "context": "it was in paris", "label": None,
               "answers": (("paris", 10),)}  # fmt: skip
    ((ids, at, first, last, _),) = ours([example], uncased, Hyperparameters(max_length=64))["0"]
    assert (at, first, last) == (2, len(ids) - 2, len(ids) - 2)


# How windows advance


@pytest.mark.parametrize("tokens", [0, 1, 13, 14, 40])
@pytest.mark.parametrize("overlap", [False, True])
def test_windows_cover_every_token(tokens, overlap):
    hyper = Hyperparameters(doc_stride=5, stride_as="overlap" if overlap else "step")
    spans = list(question_answering.window_spans(tokens, 13, hyper))
    assert {token for first, last in spans for token in range(first, last)} == set(range(tokens))
    assert all(last - first <= 13 for first, last in spans)
    for one, two in itertools.pairwise(spans):
        assert two[0] - one[0] == (8 if overlap else 5)


@pytest.mark.parametrize("room", [1, 2, 3, 93, 125, 128])
def test_windows_that_cannot_overlap_by_so_much_share_half_of_their_tokens(room):
    hyper = Hyperparameters(doc_stride=128, stride_as="overlap")
    spans = list(question_answering.window_spans(400, room, hyper))
    assert {token for first, last in spans for token in range(first, last)} == set(range(400))
    assert len(spans) <= 2 * 400 / room + 1


def overlapping(max_length, query_length, doc_stride, stride_as="overlap"):
    fixed = {"max_length": max_length, "query_length": query_length, "doc_stride": doc_stride,
             "stride_as": stride_as}  # fmt: skip
    return {"name": "s", "tasks": ["squad/v1.1"], "model": "scratch", "fixed": fixed}


@pytest.mark.parametrize("max_length", [160, 192, 195])
def test_a_study_whose_windows_would_not_advance_is_refused(max_length):
    with pytest.raises(InputError) as caught:
        study.parse(overlapping(max_length, 64, 128))
    (problem,) = caught.value.problems
    room = max_length - 64 - 3
    text = f"windows show {room} tokens and cannot overlap by doc_stride 128"
    assert text in problem.text


def test_a_study_whose_windows_advance_is_none():
    assert study.parse(overlapping(196, 64, 128)).tasks == ("squad/v1.1",)
    assert study.parse(overlapping(160, 64, 128, stride_as="step")).tasks == ("squad/v1.1",)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"stride_as": "overlap", "doc_stride": 8},
            "leaves 8 for its context, and windows overlap",
        ),
        ({"doc_stride": 8, "max_length": 9}, "leaves -3 for its context; a smaller query_length"),
    ],
)
def test_a_question_that_leaves_windows_no_room_to_advance_is_refused(settings, text):
    """As where a tokenizer's own limit is below the study's, which no study can tell."""
    tokenizer, task = toy_tokenizer(), tasks.get("squad/v1.1")
    hyper = Hyperparameters(**{"max_length": 20, "query_length": 9} | settings)
    example = {"id": "0", "question": "w1 " * 9, "context": "w2 " * 30, "label": None,
               "answers": (("w2", 0),)}  # fmt: skip
    with pytest.raises(InputError, match=text):
        question_answering.encode([example], task, tokenizer, hyper, train=True)


@pytest.mark.slow
@real
@pytest.mark.parametrize(("stride_as", "published"), [("step", 10_833), ("overlap", 10_784)])
def test_the_published_counts_of_windows(stride_as, published):
    """Of SQuAD 1.1's dev set at 384 tokens and stride 128: BERT's code, and transformers'."""
    tokenizer, task = read_tokenizer(str(ENCODER), ()), tasks.get("squad/v1.1")
    hyper = Hyperparameters(max_length=384, stride_as=stride_as)
    examples = list(readers.read(task, task.dev[0], SHARED / "data"))
    texts = question_answering._tokenize_contexts(
        tokenizer, [example["context"] for example in examples]
    )
    queries = question_answering._token_ids(
        tokenizer, [example["question"].lstrip() for example in examples]
    )
    count = 0
    for example, query in zip(examples, queries, strict=True):
        room = 384 - 3 - min(64, len(query))
        count += len(
            list(question_answering.window_spans(len(texts[example["context"]].ids), room, hyper))
        )
    assert count == published


def test_training_rows_without_tokens_are_told_and_a_file_of_nothing_else_is_refused(
    uncased, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "squad").mkdir()
    path = tmp_path / "squad" / "train-v1.1.json"

    def prepared(*contexts):
        qas = [
            [{"id": str(at), "question": "what", "answers": [{"text": text, "answer_start": 0}]}]
            for at, text in enumerate(contexts)
        ]
        paragraphs = [
            {"context": text, "qas": one} for text, one in zip(contexts, qas, strict=True)
        ]
        path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}))
        task = tasks.get("squad/v1.1")
        return prepare(
            HEADS[task.head].encoder,
            task,
            task.train,
            tmp_path,
            uncased,
            Hyperparameters(max_length=64),
        )

    done = prepared("paris", "\u200b\u200b")
    assert done.table.column("id").to_pylist() == ["0"]
    text = "1 examples left out: no tokens spell their answer, or their context has none"
    assert done.skipped == text
    with pytest.raises(InputError, match=f"no example is left to learn from: {text}"):
        prepared("\u200b\u200b")
