"""Words switched by dictionaries, and rows of two views that walk the same words."""

import subprocess
import sys
from collections import Counter
from random import Random
from zlib import crc32

import numpy as np
import pytest
from support.made_up_text import some_text
from support.paths import ROOT, SHARED

from raysearch.data.augmentation import dictionaries
from raysearch.data.augmentation.alignment import align_window, align_words
from raysearch.data.augmentation.code_switching import (
    answer_words,
    code_switch,
    rng_for,
    word_spans,
)
from raysearch.errors import InputError

DATA = SHARED / "data"
TOY = {
    "de": {"the": ("der", "die", "das"), "dog": ("Hund",)},
    "es": {"the": ("el",), "runs": ("corre",)},
}


def write(folder, language, text):
    path = folder / f"en-{language}.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# What is drawn


def test_a_view_is_the_same_in_every_process():
    code = """if 1:
        from raysearch.data.augmentation.code_switching import code_switch, rng_for
        toy = {"es": {"the": ("el", "la")}, "de": {"the": ("der", "die", "das")}}
        print(*code_switch(["the"] * 40, 0.5, toy, rng_for(7, 3, "row 12")).words)"""
    views = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""}, cwd=ROOT,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(views) == 1
    toy = {"de": {"the": ("der", "die", "das")}, "es": {"the": ("el", "la")}}
    here = code_switch(["the"] * 40, 0.5, toy, rng_for(7, 3, "row 12"))
    assert views == {" ".join(here.words) + "\n"}


def test_views_differ_by_seed_epoch_and_example_and_not_by_the_kind_of_number():
    draws = {key: rng_for(*key).random() for key in [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4)]}
    assert len(set(draws.values())) == 4
    assert rng_for(*np.array([1, 2, 3])).random() == draws[1, 2, 3]
    assert rng_for(1, 23).random() != rng_for(12, 3).random()


# Words


def test_words_stand_between_white_space_of_any_kind():
    text = " Ada\tLovelace\u00a0wrote\nit \u3000."
    assert [text[begin:stop] for begin, stop in word_spans(text)] == [
        "Ada", "Lovelace", "wrote", "it", ".",
    ]  # fmt: skip
    assert word_spans("  ") == word_spans("") == []


@pytest.mark.parametrize(
    ("answer", "whole", "frozen"),
    [
        ("was born in 1815", False, {2, 5}),
        ("was born in 1815", True, {2, 3, 4, 5}),
        ("born", False, {3}),
        ("born in 18", False, {3, 4, 5}),  # ends within a word
        ("ace was born", False, {1, 2, 3}),  # begins within one
        ("815", False, {5}),
        ("", False, set()),
    ],
)
def test_the_words_of_an_answer_that_stay_are_its_ends_or_all_where_it_divides_one(
    answer, whole, frozen
):
    text = "Ada Lovelace was born in 1815 in London"
    start = text.index(answer)
    assert answer_words(word_spans(text), start, start + len(answer), all_words=whole) == frozen


# Code switching


def test_every_word_is_asked_for_at_the_ratio_in_a_language_of_its_own():
    words = ["the"] * 20000
    view = code_switch(words, 0.3, TOY, rng_for(1))
    assert view.selected == sum(view.switched) == pytest.approx(6000, abs=200)
    assert [word != "the" for word in view.words] == view.switched
    seen = Counter(view.words)
    assert seen["el"] == pytest.approx(view.selected / 2, rel=0.06)
    for word in ("der", "die", "das"):
        assert seen[word] == pytest.approx(view.selected / 6, rel=0.1)


def test_only_exact_words_in_lower_case_are_found_and_a_miss_stays_as_it_was():
    view = code_switch(
        ["The", "DOG", "dog.", "runs", "cat", ""], 1.0, {"de": TOY["de"]}, rng_for(1)
    )
    assert view.words[0] in TOY["de"]["the"]
    assert view.words[1:] == ["Hund", "dog.", "runs", "cat", ""]
    assert (view.switched, view.selected) == ([True, True, False, False, False, False], 6)


def test_frozen_words_and_a_ratio_of_nothing_change_nothing():
    words = ["the", "dog", "runs"] * 50
    assert code_switch(words, 0.0, TOY, rng_for(1)).words == words
    view = code_switch(words, 1.0, TOY, rng_for(1), frozen=range(len(words)))
    assert (view.words, view.selected) == (words, 0)
    view = code_switch(words, 1.0, {"de": TOY["de"]}, rng_for(1), frozen={1})
    assert view.words[1] == "dog"
    assert view.words[4] == "Hund"


def test_a_translation_that_is_the_word_itself_counts_as_switched():
    view = code_switch(["taxi"], 1.0, {"de": {"taxi": ("taxi",)}}, rng_for(1))
    assert (view.words, view.switched) == (["taxi"], [True])


# Dictionaries


def test_a_dictionary_holds_all_translations_of_a_word(tmp_path):
    files = {
        "es": write(tmp_path, "es", "the el"),
        "de": write(tmp_path, "de", "the der\nthe die\ndog\tHund\r\n\nold man alter Mann\n"),
    }
    assert dictionaries.read(files) == {
        "de": {"the": ("der", "die"), "dog": ("Hund",), "old": ("man alter Mann",)},
        "es": {"the": ("el",)},
    }


def test_a_tab_divides_before_a_space_does(tmp_path):
    path = write(tmp_path, "de", "old man\talter Mann\nthe der \n")
    assert dictionaries.table(path) == {"old man": ("alter Mann",), "the": ("der",)}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("the der\nalone\n\tHund\n", ["line 2", "line 3"]),
        (b"the el\ndog \xff\n", ["line 2"]),
        ("a\tb\tc", ["line 1"]),
        ("", ["file"]),
    ],
)
def test_every_broken_line_is_told_with_its_file_and_number(tmp_path, text, places):
    path = write(tmp_path, "de", text)
    with pytest.raises(InputError) as caught:
        dictionaries.table(path)
    assert caught.value.source == str(path)
    assert [problem.location for problem in caught.value.problems] == places


@pytest.mark.slow
def test_published_dictionaries_are_read_whole():
    path = DATA / "dictionaries" / "en-zh.txt"
    if not path.is_file():
        pytest.skip("needs the published files in shared/data/dictionaries")
    table = dictionaries.table(path)
    assert (len(table), sum(map(len, table.values()))) == (32495, 39334)


# Rows of two views


def some_tokens(word, random):
    """Groups of a word's characters; none of an invisible word."""
    if not word.strip("\u200b\ufeff"):
        return ()
    groups = [word[at : at + random.choice((1, 1, 2, 3))] for at in range(0, len(word), 2)]
    return tuple(4 + crc32(group.encode()) for group in groups)


def two_views(random):
    words = some_text(random)
    first = [some_tokens(word, random) for word in words]
    switched = [random.random() < 0.4 for _ in words]
    second = [
        some_tokens(word, random) if new else old
        for word, old, new in zip(words, first, switched, strict=True)
    ]
    return first, second, switched


def grouped(row):
    """word -> its tokens, in the row's order."""
    found = {}
    for word, token in zip(row.words, row.tokens, strict=True):
        found.setdefault(word, []).append(token)
    return found


@pytest.mark.slow
def test_tagged_rows_hold_the_same_words_whole_and_as_many_as_fit():
    random = Random(1)
    cut = 0
    for _ in range(2000):
        first, second, _ = two_views(random)
        room = random.randrange(1, 60)
        rows = align_words(first, second, room, unknown=3)
        kept = len(grouped(rows[0]))
        for row, view in zip(rows, (first, second), strict=True):
            whole = [list(one) if 0 < len(one) <= room else [3] for one in view]
            assert grouped(row) == dict(enumerate(whole[:kept]))
            assert list(grouped(row)) == list(range(kept))
            assert len(row.tokens) <= room
        assert kept or not first
        if kept < len(first):
            cut += 1
            next_ones = [
                len(row.tokens) + (len(view[kept]) if 0 < len(view[kept]) <= room else 1)
                for row, view in zip(rows, (first, second), strict=True)
            ]
            assert max(next_ones) > room
    assert 500 < cut < 1900


def test_a_row_ends_where_the_longer_view_is_full():
    rows = align_words([(5, 6), (), (7,)], [(5, 6), (), (8, 9)], 4, unknown=3)
    assert [(row.tokens, row.words) for row in rows] == [([5, 6, 3], [0, 0, 1])] * 2


@pytest.mark.slow
def test_windows_share_their_unswitched_tokens_one_to_one():
    random = Random(2)
    full = shared = 0
    for _ in range(3000):
        first, second, switched = two_views(random)
        tokens = [(word, token) for word, one in enumerate(first) for token in one]
        begin = random.randrange(0, len(tokens) + 1)
        stop = min(len(tokens), begin + random.randrange(0, 40))
        room = random.randrange(1, 50)
        rows = align_window(first, second, switched, (begin, stop), room)
        assert list(zip(rows[0].words, rows[0].tokens, strict=True)) == tokens[begin:stop]
        assert len(rows[1].tokens) <= room
        common = [
            [(w, t) for w, t, s in zip(row.words, row.tokens, row.shared, strict=True) if s]
            for row in rows
        ]
        assert common[0] == common[1]
        assert not any(switched[word] for word, _ in common[0])
        assert rows[1].words == sorted(rows[1].words)
        assert set(rows[1].words) <= set(rows[0].words)
        if len(rows[1].tokens) < room:  # nothing was cut: all that the window shows is there
            unswitched = [(w, t) for w, t in tokens[begin:stop] if not switched[w]]
            assert common[0] == unswitched
            new = {w: list(second[w]) for w in grouped(rows[0]) if switched[w] and second[w]}
            assert {w: t for w, t in grouped(rows[1]).items() if switched[w]} == new
        else:
            full += 1
        shared += len(common[0])
    assert full > 300
    assert shared > 3000


def test_a_window_that_begins_within_a_word_shows_the_rest_of_it_or_all_of_its_new_tokens():
    first, second = [(5, 6, 7), (8, 9)], [(5, 6, 7), (20, 21, 22)]
    one, other = align_window(first, second, [False, True], (1, 4), 10)
    assert (one.tokens, one.words, one.shared) == (
        [6, 7, 8], [0, 0, 1], [True, True, False],
    )  # fmt: skip
    assert other.tokens == [6, 7, 20, 21, 22]
    one, other = align_window(second, first, [False, True], (4, 6), 1)
    assert (one.tokens, one.shared) == ([21, 22], [False, False])
    assert (other.tokens, other.shared) == ([8], [False])
    one, other = align_window(first, first, [False, False], (0, 5), 4)
    assert (one.shared, other.shared) == ([True] * 4 + [False], [True] * 4)
