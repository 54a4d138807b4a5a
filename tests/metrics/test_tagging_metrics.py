"""Scores of tags against a slow reading of the rules, and against values that seqeval gave."""

import random

import pytest

from raysearch.errors import InputError
from raysearch.metrics import token_classification, worst
from raysearch.metrics.token_classification import chunk_f1, score
from raysearch.tasks import get

ENTITIES = get("xtreme/panx").labels
SPEECH = get("xtreme/udpos").labels
ENCLOSED = (*ENTITIES, "E-PER", "S-PER", "E-LOC", "S-LOC")  # IOBES, for the rules of E and S


def ids(text, labels):
    return [labels.index(tag) for tag in text.split()]


def slow_chunks(tags):
    """Type, first and last word of each chunk of one sentence, with a chunk held open while its
    words go by."""
    found, first, prefix, kind = set(), None, "O", "O"
    for at, tag in enumerate([*tags, "O"]):
        now, new = tag[0], tag.split("-")[-1]
        goes_on = first is not None and new == kind and prefix not in "ES" and now not in "BSO"
        if first is not None and not goes_on:
            found.add((kind, first, at - 1))
            first = None
        if first is None and now != "O":
            first = at
        prefix, kind = now, new
    return found


def slow_f1(predictions, gold):
    found = {(at, *chunk) for at, tags in enumerate(predictions) for chunk in slow_chunks(tags)}
    true = {(at, *chunk) for at, tags in enumerate(gold) for chunk in slow_chunks(tags)}
    precision = len(found & true) / len(found) if found else 0.0
    recall = len(found & true) / len(true) if true else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def drawn(seed, labels):
    """Random gold, and predictions that are often right."""
    pick = random.Random(seed)
    right = pick.choice((0.1, 0.6, 0.95))

    def tags(count):
        return [pick.randrange(len(labels)) for _ in range(count)]

    gold = [tags(pick.randint(1, 12)) for _ in range(pick.choice((1, 4, 30)))]
    predictions = [[tag if pick.random() < right else tags(1)[0] for tag in row] for row in gold]
    return predictions, gold


@pytest.mark.slow
@pytest.mark.parametrize("labels", [ENTITIES, SPEECH, ENCLOSED], ids=["panx", "udpos", "iobes"])
@pytest.mark.parametrize("seed", range(80))
def test_chunks_are_those_of_a_slow_reading(seed, labels):
    predictions, gold = drawn(seed, labels)
    names = [[[labels[tag] for tag in row] for row in rows] for rows in (predictions, gold)]
    assert chunk_f1(predictions, gold, labels) == pytest.approx(slow_f1(*names))


# What seqeval 0.0.12 gives.
KNOWN = [
    (ENTITIES, "B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1.0),
    (ENTITIES, "B-PER O O B-LOC", "B-PER I-PER O B-LOC", 0.5),
    (ENTITIES, "I-PER I-PER O O", "B-PER I-PER O O", 1.0),  # I alone begins an entity
    (ENTITIES, "I-PER B-PER O O", "B-PER I-PER O O", 0.0),
    (ENTITIES, "B-PER I-LOC O O", "B-PER I-PER O O", 0.0),  # another type ends it
    (ENTITIES, "B-PER I-LOC O O", "B-PER B-LOC O O", 1.0),
    (ENTITIES, "O O", "O O", 0.0),
    (ENTITIES, "B-ORG O", "O O", 0.0),
    (SPEECH, "NOUN NOUN", "NOUN NOUN", 1.0),
    (SPEECH, "NOUN VERB", "NOUN NOUN", 0.0),  # neighbours are one chunk, and it is lost
    (SPEECH, "SYM VERB", "SYM SYM", 0.5),  # but each SYM is one
    (SPEECH, "SCONJ CCONJ", "SCONJ SCONJ", 0.5),
    (SPEECH, "INTJ INTJ NOUN", "INTJ INTJ INTJ", 0.0),
    (SPEECH, "X X ADJ", "X X ADJ", 1.0),
    (
        SPEECH,
        "DET NOUN VERB VERB PUNCT SYM SCONJ SCONJ ADJ INTJ X",
        "DET NOUN NOUN VERB PUNCT SYM SCONJ SCONJ ADJ INTJ X",
        0.8,
    ),
]


@pytest.mark.parametrize(("labels", "predicted", "gold", "expected"), KNOWN)
def test_known_values(labels, predicted, gold, expected):
    found = chunk_f1([ids(predicted, labels)], [ids(gold, labels)], labels)
    assert found == pytest.approx(expected)


def test_parts_of_speech_have_an_accuracy_beside_their_f1():
    _, predicted, gold, _ = KNOWN[-1]
    found = score(
        get("xtreme/udpos").metrics, {"0": ids(predicted, SPEECH)}, {"0": ids(gold, SPEECH)}, SPEECH
    )
    assert found == {"pos_f1": pytest.approx(0.8), "token_accuracy": pytest.approx(10 / 11)}
    assert round(found["token_accuracy"], 4) == 0.9091


def test_no_chunk_reaches_into_the_next_sentence():
    gold = [ids("O B-PER", ENTITIES), ids("I-PER O", ENTITIES)]
    joined = [ids("O B-PER I-PER O", ENTITIES)]
    assert chunk_f1(gold, gold, ENTITIES) == 1.0
    shorter = [ids("O B-PER", ENTITIES), ids("O O", ENTITIES)]
    assert chunk_f1(shorter, gold, ENTITIES) == pytest.approx(2 / 3)
    assert chunk_f1([[*shorter[0], *shorter[1]]], joined, ENTITIES) == 0.0
    speech = [ids("NOUN", SPEECH)] * 2
    assert chunk_f1([ids("NOUN", SPEECH), ids("VERB", SPEECH)], speech, SPEECH) == 0.5


def test_sentences_are_matched_by_their_ids_and_metrics_come_in_their_order():
    gold = {"a": ids("B-PER O", ENTITIES), "b": ids("O", ENTITIES)}
    predictions = {"b": ids("O", ENTITIES), "a": ids("B-PER O", ENTITIES)}
    names = ["token_accuracy", "entity_f1"]
    found = score(names, predictions, gold, ENTITIES)
    assert list(found) == names
    assert found == {"token_accuracy": 1.0, "entity_f1": 1.0}


def test_all_that_is_wrong_with_a_call_is_said_at_once():
    gold = {"a": [0, 1], "b": [2], "c": [3], "e": [0]}
    with pytest.raises(InputError) as caught:
        score(["entity_f2"], {"a": [0], "b": [99], "d": [0], "e": [-1]}, gold, ENTITIES)
    said = str(caught.value)
    assert "no metric named 'entity_f2'; did you mean 'entity_f1'?" in said
    assert "sentence c  has no tags" in said
    assert "sentence d  is not in the data" in said
    assert "sentence a  1 tags for 2 words" in said
    assert "sentence b  tags from 99 to 99; there are 0 to 6" in said
    assert "sentence e  tags from -1" in said
    with pytest.raises(InputError, match="nothing to score"):
        score(["pos_f1"], {}, {}, SPEECH)


def test_metrics_of_the_rows_are_known():
    for name in ("xtreme/panx", "xtreme/udpos"):
        assert set(get(name).metrics) <= set(token_classification.SCORES)
        assert all(worst(metric) == 0.0 for metric in get(name).metrics)
