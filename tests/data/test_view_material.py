"""What consistency training's views are made from: words in prepared rows, pools of translations,
what is laid out for the lanes, and what is refused where it is missing or does not fit."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.paths import SHARED
from support.toys import toy_tokenizer

from raysearch import preflight, study, tasks
from raysearch.data import encoding_cache, readers
from raysearch.data.augmentation import resources, translation_pool
from raysearch.data.encoders import (
    question_answering,
    sequence_classification,
    token_classification,
)
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import read_pretrained
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import ReusableModel, export_weights
from raysearch.models.saving import save_model
from raysearch.models.teacher_model import read_teacher
from raysearch.recipes import Hyperparameters
from raysearch.recipes.stabletune_hyperparameters import StabletuneHyperparameters
from raysearch.recipes.task_losses import IGNORE_INDEX
from raysearch.search import data_preparation

ENCODER = SHARED / "models" / "minilm-l6"
real = pytest.mark.skipif(not ENCODER.is_dir(), reason="needs the published files in shared/")
PAWSX, PANX, MLQA, TYDIQA = (tasks.get(f"xtreme/{n}") for n in ("pawsx", "panx", "mlqa", "tydiqa"))
SWITCH = {"view": "switch", "corpus": "switch"}
TRANSLATION = {"view": "translation", "corpus": "translation"}
NEEDED = StabletuneHyperparameters(**SWITCH, max_length=32)
TRANSLATED = "xtreme_translations/{}/translate-train/{}"
PAIRS = TRANSLATED.format("PAWSX", "en-{}-translated.tsv")
SQUAD = TRANSLATED.format("SQuAD", "squad.translate.train.en-{}.json")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def pairs(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def squad(*questions):
    """Of (id, context, answer)."""
    paragraphs = [
        {"context": context, "qas": [{"id": identity, "question": "w1", "answers": [
            {"text": answer, "answer_start": context.index(answer)}]}]}
        for identity, context, answer in questions
    ]  # fmt: skip
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


def searched(*names, model="scratch", **fixed):
    """A study of stabletune, or with nothing fixed of plain fine-tuning."""
    recipe = "stabletune" if fixed else "finetune"
    raw = {"tasks": list(names), "model": model, "recipe": recipe}
    return study.parse({**raw, "fixed": {"max_length": 32, **fixed}})


# The words of rows


@pytest.fixture
def pawsx(root):
    """English rows of PAWS-X."""
    rows = [("w1 w2  w3", " w4 w5 ", "1"), ("w6", "w7\u00a0w8", "0"), ("w1 w2 w3", "w9", "1")]
    write(root, "xtreme/pawsx/train-en.tsv", pairs(*rows))
    write(root, "xtreme/pawsx/dev-en.tsv", pairs(*rows))
    return root


def made(task, root, hyper, split=None):
    return encoding_cache.prepare(
        HEADS[task.head].encoder, task, split or task.train, root, toy_tokenizer(), hyper
    )


def test_without_views_a_table_is_what_it_was(pawsx):
    plain = made(PAWSX, pawsx, Hyperparameters(max_length=32))
    off = StabletuneHyperparameters(max_length=32, lambda1=0, corpus=None)
    assert made(PAWSX, pawsx, off).digest == plain.digest
    assert made(
        PAWSX, pawsx, StabletuneHyperparameters(max_length=32, view="noise", corpus=None)
    ).cached
    told = made(PAWSX, pawsx, NEEDED)
    assert told.digest != plain.digest
    assert told.table.drop_columns(["said", "said_2"]).equals(plain.table)
    dev = made(PAWSX, pawsx, Hyperparameters(max_length=32), PAWSX.dev[0])
    assert made(PAWSX, pawsx, NEEDED, PAWSX.dev[0]).digest == dev.digest


def test_pairs_tell_the_words_of_both_texts_between_white_space(pawsx):
    table = made(PAWSX, pawsx, NEEDED).table
    assert table["said"].to_pylist() == [["w1", "w2", "w3"], ["w6"], ["w1", "w2", "w3"]]
    assert table["said_2"].to_pylist() == [["w4", "w5"], ["w7", "w8"], ["w9"]]


def test_words_are_those_of_the_examples_that_are_kept_and_are_never_cut():
    task, long = tasks.get("glue/cola"), " ".join(["w1"] * 20)
    chunk = [{"id": str(at), "sentence": text, "label": 0} for at, text in enumerate([long, "w2"])]
    cut = sequence_classification.encode(chunk, task, toy_tokenizer(), NEEDED.model_copy(
        update={"max_length": 8}), train=True)  # fmt: skip
    assert [len(row) for row in cut["said"].to_pylist()] == [20, 1]
    assert "said_2" not in cut
    dropped = sequence_classification.encode(chunk, task, toy_tokenizer(), NEEDED.model_copy(
        update={"max_length": 8, "over_length": "drop"}), train=True)  # fmt: skip
    assert dropped["said"].to_pylist() == [["w2"]]


def test_a_cut_sentence_tells_in_each_row_the_words_inside_it():
    own = ("w1", "odd", "w3", "w4", "w5", "w6", "w7", "w8")
    sentence = {"id": "0", "words": own, "label": (0,) * 8}
    hyper = NEEDED.model_copy(update={"max_length": 8})
    rows = token_classification.encode([sentence], PANX, toy_tokenizer(), hyper, train=True)
    assert rows["said"].to_pylist() == [list(own[:6]), list(own[6:])]
    assert [len(row) for row in rows["label"].to_pylist()] == [6, 2]
    assert "said" not in token_classification.encode(
        [sentence], PANX, toy_tokenizer(), hyper, train=False
    )


CONTEXT = "w1 w2,w3  w4 w5 w6 w7 w8 w9"
QUESTION = {"id": "q", "question": "w1", "context": CONTEXT, "label": None}


def told(answer, **settings):
    """What each window of 4 tokens tells: its words, its tokens' places, kept words, all words."""
    hyper = NEEDED.model_copy(update={"max_length": 8, "doc_stride": 3, **settings})
    answers = ((answer, CONTEXT.index(answer)),) if answer else ()
    example = {**QUESTION, "answers": answers}
    columns = question_answering.encode([example], MLQA, toy_tokenizer(), hyper, train=True)
    names = ("said", "spot", "kept", "whole")
    return list(zip(*(columns[name].to_pylist() for name in names), strict=True))


def test_a_window_tells_its_words_and_to_which_of_them_each_token_belongs():
    assert told("w4 w5 w6 w7") == [  # "," is the unknown token
        (["w1", "w2,w3"], [0, 1, 1, 1], [], []),
        (["w2,w3", "w4", "w5", "w6"], [0, 1, 2, 3], [1], [1, 2, 3]),
        (["w6", "w7", "w8", "w9"], [0, 1, 2, 3], [1], [0, 1]),
    ]


def test_all_words_stay_of_an_answer_that_ends_within_one_and_none_where_there_is_none():
    (_, _, kept, whole), *_ = told("w1 w2")
    assert (kept, whole) == ([0, 1], [0, 1])
    assert told("w3  w4 w5")[1][2:] == ([0, 1, 2], [0, 1, 2])
    assert {tuple(map(tuple, row[2:])) for row in told("")} == {((), ())}
    blank = {**QUESTION, "answers": ()}
    columns = question_answering.encode([blank], MLQA, toy_tokenizer(), NEEDED, train=False)
    assert "said" not in columns


def slow(example, tokenizer, hyper):
    """(words, spot, kept, whole) of every window, by characters, one by one."""
    context = example["context"]
    at, word_at = 0, []  # the word of each character, None between words
    for before, letter in zip(" " + context, context, strict=False):
        at += before.isspace() and not letter.isspace()
        word_at.append(None if letter.isspace() else at - 1)
    offsets = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"]  # fmt: skip
    held = [next(word_at[c] for c in range(*span) if word_at[c] is not None) for span in offsets]
    inside = []
    if example["answers"]:
        text, start = example["answers"][0]
        inside = sorted({w for w in word_at[start : start + len(text)] if w is not None})
        bare = context[start - 1 : start].strip() + context[start + len(text) :][:1].strip()
    query = tokenizer(example["question"].lstrip(), add_special_tokens=False)["input_ids"]
    room = hyper.max_length - len(query[: hyper.query_length]) - 3
    for first, last in question_answering.window_spans(len(offsets), room, hyper):
        shown = held[first:last]
        whole = [w - shown[0] for w in inside if shown[0] <= w <= shown[-1]]
        ends = inside if inside and bare else [*inside[:1], *inside[-1:]]
        kept = sorted({w - shown[0] for w in ends if shown[0] <= w <= shown[-1]})
        said = context.split()[shown[0] : shown[-1] + 1]
        yield said, [w - shown[0] for w in shown], kept, whole


@pytest.mark.slow
@real
@pytest.mark.parametrize(("task", "split"), [("squad/v2.0", "train"), ("xtreme/xquad", "test-de")])
def test_words_of_real_windows_are_those_of_a_slow_reference(task, split):
    tokenizer, row = read_tokenizer(str(ENCODER), ()), tasks.get(task)
    hyper = NEEDED.model_copy(update={"max_length": 160, "doc_stride": 40})
    every = list(readers.read(row, row.splits()[split].labelled_copy(), SHARED / "data"))
    compared = 0
    for example in every[:: len(every) // 150]:
        columns = question_answering.encode([example], row, tokenizer, hyper, train=True)
        names = ("said", "spot", "kept", "whole")
        ours = list(zip(*(columns[name].to_pylist() for name in names), strict=True))
        if example["answers"] and ours:
            text, start = example["answers"][0]
            tokens = question_answering._tokenize_contexts(tokenizer, [example["context"]])[
                example["context"]
            ]
            first, last = question_answering._answer_tokens(example, tokens)
            if not tokens.begin[first] <= start < start + len(text) <= tokens.stop[last]:
                continue  # another place where the answer stands fits its tokens better
        if ours:
            assert ours == list(slow(example, tokenizer, hyper)), example["id"]
            compared += len(ours)
    assert compared > 150


# Pools of translations


def pool(task, root, hyper=None):
    hyper = hyper or StabletuneHyperparameters(**TRANSLATION, max_length=32)
    train = made(task, root, hyper).table
    parts = dict(
        translation_pool.prepare_translations(
            HEADS[task.head].encoder, task, root, toy_tokenizer(), hyper
        )
    )
    return translation_pool.join_translations(task, train, list(parts.values())), parts


def candidates(found, name="said"):
    """For each training row what the pool's rows say that translate it."""
    column = found.table[name].to_pylist()
    bounds = zip(found.offsets, found.offsets[1:], strict=False)
    return [[column[row] for row in found.rows[begin:end]] for begin, end in bounds]


def test_a_pair_is_translated_by_the_rows_of_the_same_pair_whatever_their_order(pawsx):
    german = [
        ("w6", "w7 w8", "w16", "w17 w18", "0"),
        ("w1 w2 w3", "w9", "w11", "w19", "1"),
        ("w6", "w7 w8", "w36", "w37", "0"),  # the same pair again
        ("w1 w2 w3 ", "w4 w5", "w11 w12", "w14", "1"),
        ("w1 w2 w3", "never seen", "w40", "w40", "1"),
    ]
    write(pawsx, PAIRS.format("de"), pairs(*german))
    write(pawsx, PAIRS.format("fr"), pairs(("w1 w2 w3", "w4 w5", "w21 w22", "w24", "1")))
    found, parts = pool(PAWSX, pawsx)
    assert {name: part.table.num_rows for name, part in parts.items()} == {
        "translated-de": 4, "translated-fr": 1,
    }  # fmt: skip
    assert candidates(found) == [[["w11", "w12"], ["w21", "w22"]], [["w16"]], [["w11"]]]
    assert candidates(found, "said_2") == [[["w14"], ["w24"]], [["w17", "w18"]], [["w19"]]]
    assert candidates(found, "label") == [[1, 1], [0], [1]]
    assert found.padding == {"input_ids": 0, "token_type_ids": 0}
    assert set(found.table.column_names) == set(made(PAWSX, pawsx, NEEDED).table.column_names)


def test_a_pool_comes_from_the_cache_and_its_tokens_in_one_piece(pawsx):
    for language in ("de", "fr"):
        write(pawsx, PAIRS.format(language), pairs(("w6", "w7 w8", "w16", "w17", "0")))
    first, _ = pool(PAWSX, pawsx)
    again, parts = pool(PAWSX, pawsx)
    assert all(part.cached for part in parts.values())
    assert again.table.equals(first.table)
    assert again.table["input_ids"].num_chunks == 1
    write(pawsx, PAIRS.format("de"), pairs(("w6", "w7 w8", "w26", "w27", "0")))
    assert candidates(pool(PAWSX, pawsx)[0])[1] == [["w26"], ["w16"]]


def test_a_prepared_table_of_many_chunks_is_one_piece_in_the_file(pawsx, monkeypatch):
    monkeypatch.setattr(encoding_cache, "CHUNK", 2)
    table = made(PAWSX, pawsx, NEEDED).table
    assert table["id"].to_pylist() == ["0", "1", "2"]
    (path,) = (encoding_cache.cache_folder() / "prepared").glob("*")
    with pa.memory_map(str(path)) as file:
        assert pa.ipc.open_file(file).num_record_batches == 1


def test_a_question_is_translated_by_all_windows_of_its_id(root):
    long = " ".join(f"w{n}" for n in range(10, 50))
    write(root, "squad/train-v1.1.json", squad(("q1", long, "w12"), ("q2", "w1 w2", "w2")))
    write(root, SQUAD.format("de"), squad(("q2", "w3 w4", "w4"), ("q1", "w5 w6", "w5")))
    write(root, SQUAD.format("zh"), squad(("q1", long, "w30"), ("q9", "w7", "w7")))
    found, parts = pool(
        MLQA, root, StabletuneHyperparameters(**TRANSLATION, max_length=32, doc_stride=20)
    )
    assert list(parts) == ["translated-de", "translated-zh"]
    assert candidates(found, "id") == [["q1"] * 3, ["q1"] * 3, ["q2"]]
    assert candidates(found)[2] == [["w3", "w4"]]
    usual = encoding_cache.prepare(
        HEADS[MLQA.head].encoder,
        MLQA,
        MLQA.training_split_of("de"),
        root,
        toy_tokenizer(),
        StabletuneHyperparameters(**TRANSLATION, max_length=32, doc_stride=20),
    )
    assert usual.cached


def test_counted_questions_translate_none_and_any_may_be_drawn(root):
    own = "xtreme/tydiqa/tydiqa.goldp.en.train.json"
    write(root, own, squad(("q1", "w1 w2", "w2")))
    name = TRANSLATED.format("TyDiQA-GoldP", "tydiqa.translate.train.en-ko.json")
    write(root, name, squad(("q1", "w3 w4", "w4"), ("q1", "w5", "w5")))
    found, _ = pool(TYDIQA, root)
    assert (candidates(found, "id"), found.table.num_rows) == ([[]], 2)


def test_a_tagged_sentence_is_translated_by_words_without_tags(root):
    sentence = "w1\tB-LOC\nw2\tO\n\nw3\tO\nw1\tO\n\nw1\tO\nw2\tO\n"
    write(root, "xtreme/panx/train-en.tsv", sentence)
    text = "w1 w2\tde\tw11 w12 w13\nw3 w1\tfr\tw23\nw1 w2\tzh\tw30\nw1 w2\tfr\tw21\t0/0 1/0\n"
    write(root, "xtreme_translations/translate_train.panx.txt", text)
    found, parts = pool(PANX, root)
    assert list(parts) == ["translations"]
    both = [["w11", "w12", "w13"], ["w21"]]
    assert candidates(found) == [both, [["w23"]], both]
    assert candidates(found, "label")[0] == [[IGNORE_INDEX] * 3, [IGNORE_INDEX]]
    assert candidates(found, "word")[0][0] == [-1, 0, 1, 2, -1]
    assert set(found.table.column_names) == set(made(PANX, root, NEEDED).table.column_names)


def test_broken_translations_are_told_with_their_lines_and_spare_ones_left_out(pawsx):
    write(pawsx, PAIRS.format("de"), "w6\tw7 w8\tw16\tw17\t0\nw1\tw2\t1\na\tb\tc\td\t7\n")
    with pytest.raises(InputError, match=r"line 2(.|\n)*line 3"):
        pool(PAWSX, pawsx)
    hyper = StabletuneHyperparameters(**TRANSLATION, max_length=32)
    ((_, part),) = translation_pool.prepare_translations(
        HEADS[PAWSX.head].encoder, PAWSX, pawsx, toy_tokenizer(), hyper, 2
    )
    assert (part.table.num_rows, "line 2" in part.skipped) == (1, True)


# What is there and what is not


def test_dictionaries_are_found_in_three_folders_and_the_others_named(root):
    paths = {
        language: write(root, f"{folder}/en-{language}.txt", "the x\n")
        for folder, language in [("dicts", "de"), ("xtreme/dicts", "zh"), ("dictionaries", "es")]
    }
    found = resources.find_resources(MLQA, root, {"switch", "subwords"})
    assert found.dictionaries == paths
    assert found.notes == ("dictionaries: de es zh; none for ar hi vi",)
    assert (found.missing, found.translations) == ((), {})
    assert resources.find_resources(MLQA, root, {"subwords"}) == resources.AugmentationResources()


def test_nothing_at_all_is_a_problem_that_says_what_was_looked_for(root):
    dictionaries, translations = resources.find_resources(
        PAWSX, root, {"switch", "translation"}
    ).missing
    assert (dictionaries.location, translations.location) == ("dictionaries", "translations")
    for said in ("en-LANGUAGE.txt of de es", f"{root}/dicts", "MUSE", "`subwords` need none"):
        assert said in dictionaries.text
    for said in (str(root / PAIRS.format("de")), "xtreme/xtreme_translations", "fr ja",
                 "stabletune-transfer"):  # fmt: skip
        assert said in translations.text
    (tags,) = resources.find_resources(PANX, root, {"translation"}).missing
    assert str(root / "xtreme_translations/translate_train.panx.txt") in tags.text
    for problem in resources.find_resources(
        tasks.get("glue/rte"), root, {"switch", "translation"}
    ).missing:
        assert "glue/rte has no" in problem.text


def test_languages_of_tagged_sentences_are_read_from_their_file(root):
    write(root, "xtreme/panx/translate_train.panx.txt", "w1\tde\tw2\nw1\tja\tw3\nw1\txx\tw3\n")
    found = resources.find_resources(PANX, root, {"translation"})
    assert list(found.translations) == ["de"]
    (note,) = found.notes
    assert note.startswith("translations: de; none for af ar ")
    assert not {"ja", "zh", "th", "ta", "en"} & set(note.split())


def test_a_study_is_told_of_everything_at_once(pawsx):
    write(pawsx, "dicts/en-de.txt", "the der\nalone\n")
    write(pawsx, "dicts/en-fr.txt", b"the le\n\xff x\n")
    write(pawsx, PAIRS.format("de"), "w6\tw7\tw16\tw17\t0\nw1\tw2\t1\n")
    options = {"view": "switch", "corpus": "translation", "teacher_view": "subwords"}
    seen = preflight.survey(searched("xtreme/pawsx", **options, teacher="nowhere"), pawsx)
    assert [problem.location for problem in seen.problems] == [
        "teacher", "xtreme/pawsx en-de.txt line 2", "xtreme/pawsx en-fr.txt line 2",
        "xtreme/pawsx en-de-translated.tsv line 2",
    ]  # fmt: skip
    assert [note for note in seen.notes if "none for" in note] == [
        "xtreme/pawsx dictionaries: de fr; none for es ja ko zh",
        "xtreme/pawsx translations: de; none for es fr ja ko zh",
    ]
    seen = preflight.survey(searched("xtreme/pawsx", **options), pawsx)
    assert seen.problems[0].location == "tokenizer"
    assert "'scratch' is no Unigram model" in seen.problems[0].text
    whole = preflight.survey(searched("xtreme/pawsx"), pawsx)
    assert whole.problems == []
    assert not [note for note in whole.notes if "none for" in note]


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"tokenizer.json": '{"model": {"type": "Unigram"}}'}, None),
        ({"tokenizer.json": '{"model": {"type": "BPE"}}'}, "is BPE"),
        ({"vocab.txt": "a"}, "is WordPiece"),
        ({"sentencepiece.bpe.model": ""}, None),
    ],
)
def test_a_tokenizer_without_probabilities_is_named_by_its_files(tmp_path, files, wrong):
    for name, text in {"config.json": "{}", "model.safetensors": "", **files}.items():
        write(tmp_path, f"model/{name}", text)
    asked = searched("xtreme/panx", model=str(tmp_path / "model"), view="subwords")
    problems = [p for p in preflight.survey(asked, tmp_path).problems if p.location == "tokenizer"]
    assert [wrong in problem.text for problem in problems] == ([True] if wrong else [])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["BertForSequenceClassification"], "hidden_size": 8}, None),
        ({}, None),  # reading it will tell
        ({"architectures": ["XLMForSequenceClassificationSimple"], "id2label": None}, None),
        ({"num_labels": 3}, "3 outputs, xtreme/pawsx has 2"),
        ({"architectures": ["BertModel"]}, "is BertModel, without a head for xtreme/pawsx"),
        ({"architectures": ["BertForTokenClassification"]}, "without a head for xtreme/pawsx"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "3 outputs, xtreme/pawsx has 2"),
        ({"vocab_size": 7}, "vocab_size 7, "),
    ],
)
def test_a_teacher_is_looked_at_before_anything_starts(tmp_path, config, said):
    """With and without a data folder, from its config.json alone."""
    for name, own in (("model", {"vocab_size": 9, "hidden_size": 8}), ("teacher", config)):
        write(tmp_path, f"{name}/config.json", json.dumps(own))
        write(tmp_path, f"{name}/model.safetensors", "")
    asked = searched("xtreme/pawsx", model=str(tmp_path / "model"), corpus="switch", view="same",
                     teacher=str(tmp_path / "teacher"))  # fmt: skip
    found = [p.text for p in preflight.survey(asked, None).problems if p.location == "teacher"]
    assert [said in text for text in found] == ([True] if said else [])


def test_the_identity_of_a_run_tells_its_dictionaries_translations_and_teacher(pawsx):
    hyper = StabletuneHyperparameters(view="switch", corpus="translation")
    seen = {preflight.view_fingerprint(PAWSX, pawsx, hyper)}
    assert seen == {""}
    for name in ("dicts/en-de.txt", "dicts/en-fr.txt", PAIRS.format("de")):
        for text in ("the a\n", "the b\n"):
            write(pawsx, name, text)
            seen.add(preflight.view_fingerprint(PAWSX, pawsx, hyper))
    assert len(seen) == 7
    assert preflight.view_fingerprint(PAWSX, pawsx, StabletuneHyperparameters()) == ""
    write(pawsx, "teacher/config.json", "{}")
    taught = StabletuneHyperparameters(teacher=str(pawsx / "teacher"))
    assert preflight.view_fingerprint(PAWSX, pawsx, taught)


# What is laid out


@pytest.fixture
def laid_out(monkeypatch):
    """A function that gives the material of a study's tasks, and the notes of its preparation."""
    monkeypatch.setattr(data_preparation, "ray", SimpleNamespace(put=lambda x: x, get=lambda x: x))

    def provide(asked, root):
        store, notes = {}, []
        broker = SimpleNamespace(publish_data=store.__setitem__)
        filling = data_preparation.BackgroundPreparation(asked, root, broker, notes.append)
        for name in asked.tasks:
            filling._provide(name)
        return store, notes

    return provide


@pytest.mark.slow
def test_views_are_laid_out_where_they_are_asked_for(pawsx, toy_folder, laid_out):
    model = str(toy_folder("bert"))
    store, _ = laid_out(searched("xtreme/pawsx", model=model), pawsx)
    assert set(store["xtreme/pawsx"]) == {"task", "splits", "pretrained"}
    write(pawsx, "dicts/en-de.txt", "w1 w11\n")
    write(pawsx, PAIRS.format("fr"), pairs(("w6", "w7 w8", "w26", "w27", "0")))
    asked = searched("xtreme/pawsx", model=model, view="switch", corpus="translation")
    store, notes = laid_out(asked, pawsx)
    views = store["xtreme/pawsx"]["views"]
    assert views["dictionaries"] == {"de": {"w1": ("w11",)}}
    table, padding = views["pool"]
    assert (table["said"].to_pylist(), padding["input_ids"]) == ([["w26"]], 0)
    assert [column.tolist() for column in views["candidates"]] == [[0, 0, 1, 1], [0]]
    assert all(column.dtype == np.int64 for column in views["candidates"])
    assert views["tokenizer"].get_vocab() == toy_tokenizer().get_vocab()
    assert "xtreme/pawsx dictionaries: de; none for es fr ja ko zh" in notes
    assert "xtreme/pawsx translated-fr: 1 examples prepared" in notes
    assert "xtreme/pawsx translations: of 1 of 3 rows" in notes
    store, _ = laid_out(searched("xtreme/pawsx", model=model, **SWITCH), pawsx)
    views = store["xtreme/pawsx"]["views"]
    assert (views["pool"], views["candidates"]) == (None, None)


def test_translations_of_another_training_set_are_refused(pawsx, toy_folder, laid_out):
    write(pawsx, PAIRS.format("fr"), pairs(("never", "seen", "w26", "w27", "0")))
    asked = searched(
        "xtreme/pawsx", model=str(toy_folder("bert")), corpus="translation", view="same"
    )
    with pytest.raises(InputError, match="the files are of another one"):
        laid_out(asked, pawsx)


def test_what_cannot_be_made_is_refused_before_anything_is_prepared(pawsx, toy_folder, laid_out):
    model = str(toy_folder("bert"))
    with pytest.raises(InputError, match="is WordPiece"):
        laid_out(searched("xtreme/pawsx", model=model, view="subwords"), pawsx)
    assert not encoding_cache.cache_folder().exists()


def taught(folder, tmp_path, task=PAWSX, hyper=None, name="teacher"):
    """A trained model as a run leaves it, and its weights."""
    tokenizer = read_tokenizer(str(folder), ())
    student = read_pretrained(str(folder), task, tokenizer, hyper)
    model = ReusableModel(torch.device("cpu")).model(student, hyper or Hyperparameters(), seed=3)
    save_model(tmp_path / name, student, weights := export_weights(model))
    return tmp_path / name, weights


@pytest.mark.slow
def test_a_teacher_is_the_weights_of_a_folder_or_a_run(pawsx, toy_folder, laid_out, tmp_path):
    model = toy_folder("bert")
    _, weights = taught(model, tmp_path, name="run/xtreme-pawsx/best")
    write(pawsx, "dicts/en-de.txt", "w1 w11\n")
    asked = searched("xtreme/pawsx", model=str(model), teacher=str(tmp_path / "run"), **SWITCH)
    store, _ = laid_out(asked, pawsx)
    found = store["xtreme/pawsx"]["teacher"]
    assert set(found) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.slow
def test_a_teacher_that_is_another_model_or_of_another_task_is_refused(toy_folder, tmp_path):
    folder, hyper = toy_folder("bert"), Hyperparameters()
    tokenizer = read_tokenizer(str(folder), ())
    student = read_pretrained(str(folder), PAWSX, tokenizer)
    good, weights = taught(folder, tmp_path)
    assert set(read_teacher(str(good), PAWSX, student, tokenizer, hyper)) == set(weights)
    other = toy_folder("roberta")
    cases = {
        "teacher .*3 outputs": taught(folder, tmp_path, tasks.get("xtreme/xnli"), name="xnli")[0],
        "teacher .*no trained head": folder,
        "of another shape": taught(other, tmp_path, name="roberta")[0],
    }
    for said, wrong in cases.items():
        with pytest.raises(InputError, match=said):
            read_teacher(str(wrong), PAWSX, student, tokenizer, hyper)
    xnli = tasks.get("xtreme/xnli")
    order, _ = taught(folder, tmp_path, xnli, name="order")
    read_teacher(str(order), xnli, read_pretrained(str(folder), xnli, tokenizer), tokenizer, hyper)
    config = json.loads((order / "config.json").read_text())
    config["id2label"] = {"0": "neutral", "1": "entailment", "2": "contradiction"}
    config["label2id"] = {label: int(at) for at, label in config["id2label"].items()}
    (order / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="labels in another order: neutral"):
        read_teacher(
            str(order), xnli, read_pretrained(str(folder), xnli, tokenizer), tokenizer, hyper
        )
    words = json.loads((good / "tokenizer.json").read_text())
    words["model"]["vocab"] |= {"w0": 6, "w1": 5}
    (good / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(InputError, match="another vocabulary"):
        read_teacher(str(good), PAWSX, student, tokenizer, hyper)


def test_a_teacher_that_reads_words_otherwise_is_refused(toy_folder, tmp_path):
    folder, summed = toy_folder("bert"), Hyperparameters(pooling="sum")
    tokenizer = read_tokenizer(str(folder), ())
    teacher, _ = taught(folder, tmp_path, PANX, summed)
    student = read_pretrained(str(folder), PANX, tokenizer)
    with pytest.raises(InputError, match="with another head"):
        read_teacher(str(teacher), PANX, student, tokenizer, Hyperparameters())
    assert read_teacher(str(teacher), PANX, student, tokenizer, summed)
