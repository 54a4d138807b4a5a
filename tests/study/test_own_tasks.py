"""Own tasks in a study: what an entry means, and what is refused, all of it at once."""

import pytest
import yaml

from raysearch import study
from raysearch.errors import InputError
from raysearch.study.unused_fields import unused_field_notes

NOTES = {"train": "notes/train.csv", "dev": "notes/dev.csv", "text": ["premise", "hypothesis"]}


def raw(entry=NOTES, name="notes", **parts):
    return {"tasks": [f"own/{name}"], "model": "scratch", "own": {name: entry}, **parts}


def task(entry, name="notes"):
    return study.parse(raw(entry, name)).task(f"own/{name}")


def problems(given):
    with pytest.raises(InputError) as caught:
        study.parse(given)
    return {problem.location: problem.text for problem in caught.value.problems}


def test_an_entry_is_a_task_like_any_other():
    searched = study.parse(raw({**NOTES, "test": "t.csv", "labels": ["no", "yes"]}))
    notes = searched.resolve("own/notes").row
    assert (notes.name, notes.head, notes.slug) == ("own/notes", "classify", "own-notes")
    assert (notes.inputs, notes.labels) == (("premise", "hypothesis"), ("no", "yes"))
    assert [*notes.splits()] == ["train", "dev", "test"]
    assert searched.resolve("own/notes").selection_metric == "dev.accuracy"
    assert notes.is_own


def test_what_is_written_is_read_as_the_same_study():
    entry = {**NOTES, "train": ["a.csv", "b.csv"], "labels": ["0", "1"], "metrics": ["f1"]}
    searched = study.parse(raw(entry))
    text = study.checked_dump(searched)
    assert study.parse(yaml.safe_load(text)) == searched
    assert "train:\n    - a.csv\n    - b.csv" in text
    assert "dev: notes/dev.csv" in text


def test_dev_splits_are_named_by_the_user_or_by_language():
    named = task({**NOTES, "dev": {"easy": "a.csv", "hard": "b.csv"}})
    assert [split.name for split in named.dev] == ["easy", "hard"]
    assert named.languages == ()
    languages = task({**NOTES, "dev": {"de": "a.csv", "sw": "b.csv"}})
    assert languages.languages == ("de", "sw")


def test_a_pattern_finds_own_tasks():
    given = raw() | {"tasks": ["own/*"]}
    assert study.parse(given).tasks == ("own/notes",)


def test_whole_numbers_are_labels_and_truth_values_of_yaml_are_not():
    assert task({**NOTES, "labels": [0, 1]}).labels == ("0", "1")
    given = yaml.safe_load("labels: [no, yes]")
    assert "in quotes" in problems(raw({**NOTES, **given}))["own.notes.labels"]


def test_every_mistake_in_every_entry_is_named_at_once():
    given = raw({"train": "a.csv", "lable": "gold", "hold_out": 2})
    given["own"] |= {
        "spans": {"head": "span", "train": "a.csv", "hold_out": 0.1, "dev": "b.csv",
                  "labels": ["a", "a"], "metrics": ["acuracy"]},
        "a b": NOTES,
        "choices": {"head": "choose", "train": "a.csv", "dev": "b.csv", "text": ["a", "b", "c"]},
        "far": {"like": "glue/rte", "dev": {"xx": "x.tsv"}},
        "words": {"head": "thought", "train": "a.csv", "dev": "b.csv"},
        "langs": {**NOTES, "dev": {"de": "a", "hard": "b"}, "train": {"x1": "c"}},
        "f": {**NOTES, "labels": ["a", "b", "c"], "metrics": ["f1"], "group": "g"},
    }  # fmt: skip
    given["tasks"] = [f"own/{name}" for name in given["own"]] + ["own/missing"]
    assert {*problems(given)} == {
        "tasks[8]", "own.notes.lable", "own.notes.hold_out", "own.notes.text", "own.spans.hold_out",
        "own.spans.labels", "own.spans.metrics", "own.a b", "own.choices.text",
        "own.choices.options", "own.far.like", "own.words.head", "own.langs.dev",
        "own.langs.train", "own.f.metrics", "own.f.group",
    }  # fmt: skip


def test_the_label_is_no_text_that_the_model_reads():
    for entry, label in (
        ({**NOTES, "text": ["premise", "gold"], "label": "gold"}, "gold"),
        ({**NOTES, "text": ["label", "premise"]}, "label"),
        ({**NOTES, "head": "tag", "text": "tags"}, "tags"),
    ):
        text = f"'{label}' is the label, which the model would read: leave it out"
        assert problems(raw(entry)) == {"own.notes.text": text}
    assert task({**NOTES, "text": ["label"], "label": "gold"}).inputs == ("label text",)


def test_only_heads_that_own_files_have_are_offered():
    for head, hint in (("regression", "did you mean 'regress'?"),
                       ("cloze", "there are: choose, classify, regress, span, tag")):  # fmt: skip
        found = problems(raw({**NOTES, "head": head}))
        assert found == {"own.notes.head": f"no head named '{head}'; {hint}"}


def test_names_of_other_libraries_are_told_ours():
    given = raw(space={"learning_rate": {"log": [1e-5, 1e-4]}}, fixed={"batch_size": 16})
    found = problems(given)
    assert found["space.learning_rate"].endswith("did you mean 'LR'?")
    assert found["fixed.batch_size"].endswith("did you mean 'BSZ'?")


def test_more_configurations_to_confirm_than_are_searched_are_told():
    space = {"LR": {"choice": [1e-5, 2e-5, 3e-5]}}
    confirm = {"top": 5, "seeds": [11, 12]}
    few = study.parse(raw(space=space, search={"trials": 9}, confirm=confirm))
    assert unused_field_notes(few) == [
        "own/notes: confirm.top is 5, but its search has only 3 trials to confirm"
    ]
    for changed in ({**confirm, "top": 3}, {"seeds": [11, 12]}, {"top": 5}):
        enough = study.parse(raw(space=space, search={"trials": 9}, confirm=changed))
        assert unused_field_notes(enough) == []


def test_an_entry_that_no_task_names_is_refused_and_an_override_drops_it():
    given = raw(tasks=["glue/rte", "own/notes"])
    searched = study.parse(given, tasks=["glue/rte"])
    assert searched.own == {}
    given["tasks"] = ["glue/rte"]
    assert "name own/notes under tasks" in problems(given)["own.notes"]


def test_an_own_task_of_no_study_is_told_where_it_would_be_defined():
    given = {"tasks": ["own/notes"], "model": "scratch"}
    assert "under own" in problems(given)["tasks[0]"]


def test_a_language_of_xtreme_is_yaml_alone():
    entry = {"like": "xtreme/panx", "train": {"xx": "r.tsv"}, "dev": {"xx": "d.tsv"}}
    searched = study.parse(
        raw({**entry, "test": {"xx": "t.tsv"}}, "panx") | {"train": ["en", "xx"]}
    )
    panx = searched.task("own/panx")
    like = study.parse({"tasks": ["xtreme/panx"], "model": "scratch"}).task("xtreme/panx")
    assert panx.languages == (*like.languages, "xx")
    assert (panx.labels, panx.metric, panx.reader) == (like.labels, like.metric, like.reader)
    assert [s.name for s in searched.resolve("own/panx").training_splits] == ["train", "train-xx"]
    assert panx.test[-1].submission == "panx/test-xx.tsv"
    assert problems(raw({**entry, "dev": {"de": "d.tsv"}, "text": "a"}, "panx")) == {
        "own.panx.text": "is that of xtreme/panx: leave it out",
        "own.panx.dev.de": "xtreme/panx has this language: leave it out",
    }


def test_what_travels_with_weights_names_no_folder_of_this_machine():
    notes = task({**NOTES, "train": "/home/me/train.csv"})
    assert "/home" not in notes.definition
    assert '"train":"train.csv"' in notes.definition
