"""SuperGLUE's tasks: what its files hold, how texts are put together, what its site takes.

Rows have the form of the published files; their texts are the examples of the benchmark's paper.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysearch.data import dev_parts, readers
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.heads.span_decoding import Answer
from raysearch.predictions.scoring import score
from raysearch.recipes import Hyperparameters
from raysearch.run_folder import dev_predictions
from raysearch.run_folder.dev_predictions import class_columns, sample_of, scores_of, to_table
from raysearch.tasks import Task, expand, get, superglue

SUSAN = "Susan wanted to have a birthday party. She called all of her friends."
NEWS = (
    "(CNN) Puerto Rico on Sunday overwhelmingly voted for statehood. But Congress will decide."
    "\n@highlight\nThe plebiscite was held in 2017."
)
ROWS: dict[str, dict[str, Any]] = {
    "boolq": {
        "question": "is barq's root beer a pepsi product",
        "passage": "Barq's is an American soft drink.",
        "idx": 0,
        "label": False,
    },
    "cb": {
        "premise": "B: And yet, uh, I we-, I hope to see employer based, you know, helping out.",
        "hypothesis": "they are setting a trend",
        "label": "neutral",
        "idx": 1,
    },
    "copa": {
        "premise": "My body cast a shadow over the grass.",
        "choice1": "The sun was rising.",
        "choice2": "The grass was cut.",
        "question": "cause",
        "label": 0,
        "idx": 2,
    },
    "rte": {
        "premise": "Dana Reeve, the widow of Christopher Reeve, has died at age 44.",
        "hypothesis": "Christopher Reeve had an accident.",
        "label": "not_entailment",
        "idx": 3,
    },
    "wic": {
        "word": "place",
        "sentence1": "Do you want to come over to my place later?",
        "sentence2": "A political system with no place for the less prominent groups.",
        "idx": 4,
        "label": False,
        "start1": 31,
        "start2": 27,
        "end1": 36,
        "end2": 32,
        "version": 1.1,
    },
    "wsc": {
        "text": "Mark told Pete many lies about himself, which Pete included in his book.",
        "target": {
            "span1_index": 0,
            "span1_text": "Mark",
            "span2_index": 11,
            "span2_text": "his",
        },
        "idx": 5,
        "label": False,
    },
    "multirc": {
        "idx": 6,
        "version": 1.1,
        "passage": {
            "text": SUSAN,
            "questions": [
                {
                    "idx": 20,
                    "question": "Who was invited?",
                    "answers": [
                        {"idx": 100, "text": "Her friends", "label": 1},
                        {"idx": 101, "text": "Nobody", "label": 0},
                    ],
                },
                {
                    "idx": 21,
                    "question": "Did she call?",
                    "answers": [{"idx": 102, "text": "Yes", "label": 1}],
                },
            ],
        },
    },
    "record": {
        "source": "Daily mail",
        "passage": {
            "text": NEWS,
            "entities": [
                {"start": 6, "end": 16},
                {"start": 68, "end": 75},
                {"start": NEWS.index("2017"), "end": NEWS.index("2017") + 3},
                {"start": 6, "end": 16},
            ],
        },
        "qas": [
            {
                "query": 'For one, they can truthfully say, "Don\'t blame @placeholder."',
                "answers": [
                    {"start": 6, "end": 16, "text": "Puerto Rico"},
                    {"start": 6, "end": 16, "text": "Puerto Rico"},
                ],
                "idx": 7,
            },
            {
                "query": "It was in @placeholder",
                "answers": [{"start": NEWS.index("2017"), "end": 9, "text": "2017"}],
                "idx": 8,
            },
        ],
        "idx": 9,
    },
}


def write(root: Path, task: Task, *rows: dict[str, Any], name: str = "val.jsonl") -> Path:
    """Write a file of a task."""
    path = root / task.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def examples(root: Path, name: str, split: str = "dev") -> list[dict[str, Any]]:
    task = get(f"superglue/{name}")
    return list(readers.read(task, task.splits()[split], root))


def submitted(folder: Path, name: str, ids: list[str], predictions: Any) -> str:
    """Return the text of a submission, whose name the site asks for."""
    task = get(f"superglue/{name}")
    split = task.test[0]
    (path,) = HEADS[task.head].write(folder, task, split, ids, predictions, Hyperparameters())
    assert path.name == f"{task.folder}.jsonl"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ROWS)
def test_every_published_form_is_read_labelled_and_without_labels(name, tmp_path):
    task = get(f"superglue/{name}")
    write(tmp_path, task, ROWS[name])
    assert examples(tmp_path, name)
    unlabelled = json.loads(json.dumps(ROWS[name]))
    unlabelled.pop("label", None)
    if name == "multirc":
        for question in unlabelled["passage"]["questions"]:
            for answer in question["answers"]:
                del answer["label"]
    for question in unlabelled.get("qas", []):
        del question["answers"]
    write(tmp_path, task, unlabelled, name="test.jsonl")
    rows = examples(tmp_path, name, "test")
    texts = {key for key in rows[0] if key not in ("label", "answers")}
    assert [{key: row[key] for key in texts} for row in rows] == [
        {key: row[key] for key in texts} for row in examples(tmp_path, name)
    ]
    assert all(row["label"] is None and not row.get("answers") for row in rows)


def test_the_folder_of_the_benchmark_may_hold_the_tasks(tmp_path):
    write(tmp_path / "superglue", get("superglue/boolq"), ROWS["boolq"])
    (row,) = examples(tmp_path, "boolq")
    assert (row["id"], row["question"], row["label"]) == ("0", ROWS["boolq"]["question"], 0)


def test_texts_are_put_together_as_the_source_does(tmp_path):
    for name, row in ROWS.items():
        write(tmp_path, get(f"superglue/{name}"), row)
    (copa,) = examples(tmp_path, "copa")
    assert copa["passage"] == "My body cast a shadow over the grass. because"
    assert copa["options"] == ("The sun was rising.", "The grass was cut.")
    (wic,) = examples(tmp_path, "wic")
    assert wic["sentence1"] == "place: Do you want to come over to my place later?"
    (wsc,) = examples(tmp_path, "wsc")
    assert wsc["text"].endswith("which Pete included in *his* book.")
    assert (wsc["referent"], wsc["label"]) == ("Mark", 0)
    multirc = examples(tmp_path, "multirc")
    assert [row["id"] for row in multirc] == ["6/20/100", "6/20/101", "6/21/102"]
    assert multirc[1] == {
        "id": "6/20/101",
        "passage": SUSAN,
        "answer": "Who was invited? Nobody",
        "label": 0,
    }
    first, second = examples(tmp_path, "record")
    assert first["entities"] == second["entities"] == ("2017", "Congress", "Puerto Rico")
    assert first["answers"] == (("Puerto Rico", 6),)
    assert first["passage"].endswith("decide.\n- The plebiscite was held in 2017.")


def test_a_premise_with_an_effect_goes_on_with_so(tmp_path):
    write(tmp_path, get("superglue/copa"), {**ROWS["copa"], "question": "effect"})
    assert examples(tmp_path, "copa")[0]["passage"].endswith("grass. so")


@pytest.mark.parametrize(
    ("name", "change", "place", "text"),
    [
        ("boolq", {"label": "yes"}, "line 2", "'label' is 'yes'; the labels are: false, true"),
        ("boolq", {"passage": None}, "line 2", "'passage' is null where a text should be"),
        ("boolq", {"idx": True}, "line 2", "'idx' is true; it should be a whole number or a name"),
        ("cb", {"hypothesis": "a\ud800"}, "line 2", "half a surrogate pair"),
        ("copa", {"label": 2}, "line 2", "'label' is 2; it should be 0 or 1"),
        ("copa", {"question": "why"}, "line 2", "it should be cause or effect"),
        ("wsc", {"text": "Mark lied."}, "line 2", "'span2_index' is 11; the text has 2 words"),
        ("wsc", {"target": []}, "line 2", "'target' is a list where an object should be"),
        ("multirc", {"passage": {"text": "a"}}, "line 2", "'questions' is missing"),
        ("record", {"passage": {"text": "a", "entities": []}}, "line 2", "'entities' is empty"),
        (
            "record",
            {"passage": {"text": "a", "entities": [{"start": 0, "end": 1}]}},
            "line 2",
            "an entity is at 0 to 1 of 1 characters",
        ),
        (
            "multirc",
            {"passage": {"text": "a", "questions": [{"idx": 1, "question": "Who?"}]}},
            "line 2 questions[0]",
            "'answers' is missing; it should be a list",
        ),
    ],
)
def test_a_broken_row_is_told_with_file_and_line(name, change, place, text, tmp_path):
    task = get(f"superglue/{name}")
    path = write(tmp_path, task, ROWS[name], {**ROWS[name], "idx": 77, "qas": [], **change})
    with pytest.raises(InputError) as caught:
        examples(tmp_path, name)
    assert caught.value.source == str(path)
    (problem,) = caught.value.problems
    assert problem.location == place
    assert text in problem.text


def test_a_broken_answer_costs_no_other_one(tmp_path):
    task, row = get("superglue/multirc"), json.loads(json.dumps(ROWS["multirc"]))
    row["passage"]["questions"][0]["answers"][1]["text"] = 5
    write(tmp_path, task, row)
    skipped = []
    rows = readers.read(task, task.dev[0], tmp_path, max_bad_rows=1, on_skipped=skipped.append)
    assert [row["id"] for row in rows] == ["6/20/100", "6/21/102"]
    assert "line 1 questions[0].answers[1] 'text' is 5" in skipped[0].summary()


def test_submissions_have_the_form_of_the_benchmark(tmp_path):
    assert submitted(tmp_path, "boolq", ["0", "1"], [1, 0]) == (
        '{"idx": 0, "label": "true"}\n{"idx": 1, "label": "false"}\n'
    )
    assert submitted(tmp_path, "cb", ["4"], [2]) == '{"idx": 4, "label": "neutral"}\n'
    assert submitted(tmp_path, "copa", ["4"], [1]) == '{"idx": 4, "label": 1}\n'
    assert submitted(tmp_path, "wic", ["4"], [0]) == '{"idx": 4, "label": "false"}\n'
    assert submitted(tmp_path, "wsc", ["4"], [1]) == '{"idx": 4, "label": "True"}\n'
    assert submitted(tmp_path, "rte", ["4"], [0]) == '{"idx": 4, "label": "entailment"}\n'
    assert submitted(tmp_path, "ax-b", ["4"], [1]) == '{"idx": 4, "label": "not_entailment"}\n'
    assert submitted(tmp_path, "ax-g", ["2/5"], [1]) == '{"idx": 5, "label": "not_entailment"}\n'
    ids = ["6/20/100", "6/20/101", "6/21/102", "7/22/103"]
    assert submitted(tmp_path, "multirc", ids, [1, 0, 1, 0]) == (
        '{"idx": 6, "passage": {"questions": [{"idx": 20, "answers": [{"idx": 100, "label": 1}, '
        '{"idx": 101, "label": 0}]}, {"idx": 21, "answers": [{"idx": 102, "label": 1}]}]}}\n'
        '{"idx": 7, "passage": {"questions": [{"idx": 22, "answers": [{"idx": 103, "label": 0}]}]}}'
        "\n"
    )
    answers = {
        "7": Answer(texts=("Zürich", "Ulm"), scores=(1.0, 0.5), null=0.0),
        "8": Answer(texts=("2017",), scores=(1.0,), null=0.0),
    }
    assert submitted(tmp_path, "record", [*answers], answers) == (
        '{"idx": 7, "label": "Zürich"}\n{"idx": 8, "label": "2017"}\n'
    )


def test_the_site_takes_a_file_of_every_task():
    submissions = {split.submission for task in superglue.TASKS for split in task.test}
    names = ("BoolQ", "CB", "COPA", "MultiRC", "ReCoRD", "RTE", "WiC", "WSC", "AX-b", "AX-g")
    assert submissions == {f"{name}.jsonl" for name in names}
    assert not {"superglue/ax-b", "superglue/ax-g"} & set(expand("superglue/*"))


def test_a_submission_of_a_passage_gets_f1_over_answers_and_the_share_of_exact_questions(tmp_path):
    write(tmp_path, get("superglue/multirc"), ROWS["multirc"])
    text = submitted(tmp_path / "out", "multirc", ["6/20/100", "6/20/101", "6/21/102"], [1, 1, 1])
    path = tmp_path / "MultiRC.jsonl"
    path.write_text(text)
    scores = score("superglue/multirc", tmp_path, path, split="dev").scores
    assert scores == {"f1": pytest.approx(4 / 5), "question_exact": 1 / 2}


def test_an_entity_that_is_a_part_of_the_answer_earns_f1(tmp_path):
    write(tmp_path, get("superglue/record"), ROWS["record"])
    path = tmp_path / "ReCoRD.jsonl"
    path.write_text('{"idx": 7, "label": "the Puerto"}\n{"idx": 8, "label": "2017"}\n')
    scores = score("superglue/record", tmp_path, path, split="dev").scores
    assert scores == {"f1": pytest.approx((2 / 3 + 1) / 2), "exact": 0.5}


def test_the_diagnostic_sets_are_rtes_and_are_scored_by_their_published_labels(tmp_path):
    rte = get("superglue/rte")
    for name in ("ax-b", "ax-g"):
        task = get(f"superglue/{name}")
        assert (task.predicted_by, task.labels) == (rte.name, rte.labels)
    pairs = [
        {"premise": "He spoke.", "hypothesis": "He did.", "idx": n, "label": label}
        for n, label in enumerate(("entailment", "entailment", "not_entailment", "entailment"))
    ]
    write(tmp_path, get("superglue/ax-g"), *pairs, name="AX-g.jsonl")
    assert [row["id"] for row in examples(tmp_path, "ax-g", "test")] == ["0/0", "0/1", "1/2", "1/3"]
    path = tmp_path / "predictions.jsonl"
    path.write_text(submitted(tmp_path, "ax-g", ["0/0", "0/1", "1/2", "1/3"], [0, 0, 0, 1]))
    scores = score("superglue/ax-g", tmp_path, path, split="test").scores
    assert scores == {"accuracy": 0.5, "gender_parity": 0.5}
    rows = [
        {"sentence1": "a", "sentence2": "b", "idx": n, "label": label, "logic": "Negation"}
        for n, label in enumerate(("entailment", "not_entailment"))
    ]
    write(tmp_path, get("superglue/ax-b"), *rows, name="AX-b.jsonl")
    path.write_text(submitted(tmp_path, "ax-b", ["0", "1"], [0, 1]))
    assert score("superglue/ax-b", tmp_path, path, split="test").scores == {"mcc": 1.0}


def multirc_rows(passages: int) -> list[dict[str, Any]]:
    rows = []
    for index in range(passages):
        row = json.loads(json.dumps(ROWS["multirc"]))
        row |= {"idx": index, "passage": {**row["passage"], "text": f"{SUSAN} {index}"}}
        for number, question in enumerate(row["passage"]["questions"]):
            question["idx"] = 2 * index + number
            for place, answer in enumerate(question["answers"]):
                answer["idx"] = 10 * index + 2 * number + place
        rows.append(row)
    return rows


def test_the_answers_on_a_passage_are_held_out_together(tmp_path):
    task = get("superglue/multirc")
    write(tmp_path, task, *multirc_rows(20))
    splits = dev_parts.read_dev(task, tmp_path, None)
    mask = dev_parts.held_out(task, splits, 0.25, 1)["dev"].reshape(20, 3)
    assert (mask.all(1) == mask.any(1)).all()
    assert 0 < mask.all(1).sum() < 20


def test_kept_answers_are_resampled_by_passage_and_score_what_the_head_scores(tmp_path):
    task = get("superglue/multirc")
    write(tmp_path, task, *multirc_rows(4))
    rows = examples(tmp_path, "multirc")
    gold = np.array([row["label"] for row in rows])
    predictions = np.where(np.arange(12) % 5 == 0, 1 - gold, gold)
    ids = [row["id"] for row in rows]
    table = to_table("dev", (ids, class_columns(predictions, gold)))
    assert sample_of(table, task).clusters.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    scores = scores_of(table, task, None)
    # Wrong are answers 0, 5 and 10: the questions 0/0, 1/3 and 3/6.
    assert scores["question_exact"] == 5 / 8
    measure = dev_predictions.measure_of(table, task, "question_exact", None)
    draw = np.repeat(np.array([2.0, 0.0, 1.0, 1.0]), 3)[None]
    # Passage 0 twice (1 of 2), 2 once (2 of 2), 3 once (1 of 2).
    assert measure(np.ones((1, 12)))[0] == 5 / 8
    assert measure(draw)[0] == (2 * 1 + 2 + 1) / 8
