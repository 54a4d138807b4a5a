"""Studies with `from`, and what the name of a model may be: what is read, and what is refused."""

import pytest
from huggingface_hub.utils import HFValidationError, validate_repo_id

from raysearch import preflight, study
from raysearch.errors import InputError
from raysearch.run_folder.trial_identity import TrialOrigin, trial_id
from raysearch.study.model_names import describe_model, model_problems

RTE, MRPC, MNLI = "glue/rte", "glue/mrpc", "glue/mnli"


def raw(per_task=None, tasks=(RTE, MRPC, MNLI), **parts):
    return {"tasks": list(tasks), "model": "scratch", "per_task": per_task or {}, **parts}


def problems(given, **overrides):
    """Place -> text of everything that is wrong."""
    with pytest.raises(InputError) as caught:
        study.parse(given, **overrides)
    return {problem.location: problem.text for problem in caught.value.problems}


def test_a_task_names_the_task_whose_winner_it_starts_from():
    plain = study.parse(raw({RTE: {"from": MNLI, "fixed": {"EPOCH": 5}}, MRPC: {"from": RTE}}))
    written = study.parse(raw({RTE: {"from": {"task": MNLI}, "fixed": {"EPOCH": 5}},
                               MRPC: {"from": {"task": RTE}}}))  # fmt: skip
    assert plain == written
    task = plain.resolve(MRPC)
    assert [one.name for one in task.chain] == [MNLI, RTE, MRPC]
    assert (task.model, task.source.name, task.start.seed) == ("scratch", RTE, None)
    assert task.origin == "scratch by way of glue/mnli, then glue/rte"
    assert plain.resolve(MNLI).origin == "scratch"
    assert plain.models == ("scratch",)


def test_the_model_of_a_chain_is_that_of_its_first_task():
    per_task = {MNLI: {"model": "scratch:1x64"}, RTE: {"from": MNLI}}
    searched = study.parse(raw(per_task))
    assert searched.resolve(RTE).model == "scratch:1x64"
    assert searched.resolve(MRPC).model == "scratch"


@pytest.mark.parametrize("start", [MNLI, {"task": MNLI}, {"task": MNLI, "seed": "same"}])
def test_a_chain_is_written_as_it_is_read(start):
    searched = study.parse(raw({RTE: {"from": start}}, confirm={"seeds": [11]}))
    text = study.checked_dump(searched)
    assert "from:" in text
    assert "start:" not in text


LOCATION = "per_task.glue/rte.from"


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("glue/mnlii", "no task of the study named 'glue/mnlii'; did you mean 'glue/mnli'?"),
        ("glue/qqp", "'glue/qqp' is none of the study's tasks: add it to them"),
        (RTE, "a task cannot start from its own winner"),
        ({"task": MNLI, "seed": "same"}, "seed: same needs confirm.seeds"),
        (3, "a task's name, or {task: name, seed: same} is needed, got 3"),
    ],
)
def test_a_start_that_cannot_be_is_refused(start, text):
    assert problems(raw({RTE: {"from": start}}))[LOCATION].startswith(text)


@pytest.mark.parametrize(
    ("start", "place", "text"),
    [
        ({"task": MNLI, "seed": 3}, f"{LOCATION}.seed", "input should be 'same', got 3"),
        ({"task": MNLI, "sed": "same"}, f"{LOCATION}.sed", "no field named 'sed'; did you mean"),
        ({"seed": "same"}, f"{LOCATION}.task", "this field is required"),
    ],
)
def test_a_form_of_a_start_that_is_none_is_refused_where_it_stands(start, place, text):
    assert problems(raw({RTE: {"from": start}}, confirm={"seeds": [11]}))[place].startswith(text)


def test_a_misspelt_from_is_told_the_name_of_a_file_not_ours():
    told = problems(raw({RTE: {"form": MNLI}}))["per_task.glue/rte.form"]
    assert told == "no field named 'form'; did you mean 'from'?"
    assert "from" in problems(raw({RTE: {"start": MNLI}}))["per_task.glue/rte.start"]


def test_a_start_beside_a_model_and_cycles_are_refused_all_at_once():
    per_task = {RTE: {"from": MRPC, "model": "scratch:1x64"}, MRPC: {"from": MNLI},
                MNLI: {"from": RTE}}  # fmt: skip
    with pytest.raises(InputError) as caught:
        study.parse(raw(per_task))
    texts = sorted(problem.text for problem in caught.value.problems)
    assert texts == [
        "glue/rte has a model too: it starts from one of the two, leave out the other",
        "no task of a cycle has a model to start from: glue/rte from glue/mrpc from glue/mnli from"
        " glue/rte",
    ]


def test_a_task_that_is_chosen_without_the_one_it_starts_from_is_refused():
    chained = raw({RTE: {"from": MNLI}})
    assert problems(chained, tasks=[RTE, MRPC])["tasks"] == (
        "glue/rte starts from the winner of glue/mnli, which is left out: name both tasks, or start"
        " glue/rte from a trained one with a study that has per_task.glue/rte.model"
    )
    assert study.parse(chained, tasks=[RTE, MNLI]).resolve(RTE).source.name == MNLI
    assert study.parse(chained, tasks=[MRPC]).per_task == {}


def test_a_trial_id_holds_the_trial_that_it_starts_from():
    searched, origin = study.parse(raw({RTE: {"from": MNLI}})), TrialOrigin(content={RTE: "x"})
    ids = [trial_id(searched, RTE, "search", {}, 1, origin, start) for start in (None, "a", "b")]
    assert len(set(ids)) == 3
    assert ids[1] == trial_id(searched, RTE, "search", {}, 1, origin, "a")


# Names of models


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def message(model):
    texts = [problem.text for problem in model_problems(model)]
    return texts[0] if texts else ""


NAMES = ["bert-base-uncased", "microsoft/deberta-v3-base", "a", "a/b", "-a", "a-", "a..b", "a--b",
         ".a", "a.git", "a b", "a/b/c", "ü", "a/", "/a", "org/na me", "a_b.c-d/e.f",
         "x" * 97]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_hub_name_is_what_the_hub_takes_for_one(here, name):
    try:
        validate_repo_id(name)
        valid = len(name) <= 96
    except HFValidationError:
        valid = False
    assert (message(name) == "") == valid
    assert (message(f"hub:{name}") == "") == valid


def test_a_task_that_is_named_as_a_model_is_refused_with_what_would_do(here):
    told = message(MNLI)
    assert told.startswith("'glue/mnli' is a task; `from: glue/mnli` under per_task starts a task")
    assert "runs/NAME/glue-mnli" in told
    assert "`from: own/notes`" in message("own/notes")  # and no name on a hub
    assert "runs/NAME/own-notes" in message("own/notes")
    found = preflight.survey(study.parse(raw({RTE: {"model": MNLI}})), None).problems
    assert [(p.location, p.text) for p in found] == [("per_task.glue/rte.model", told)]
    found = preflight.survey(study.parse(raw(), model=MNLI), None).problems
    assert [(p.location, p.text) for p in found] == [("model", told)]
    (here / "glue" / "mnli").mkdir(parents=True)  # of data
    assert message(MNLI) == told


@pytest.mark.parametrize("name", ["runs/nowhere", "models/bert", "mine/model"])
def test_a_path_to_nothing_is_no_hub_name(here, name):
    (here / "mine").mkdir()
    assert message(name) == (
        f"no folder '{name}', and it looks like a path; hub:{name} would be the name on a hub"
    )
    assert message(f"hub:{name}") == ""


def test_a_hub_name_beside_a_folder_of_that_name_is_refused(here):
    (here / "bert").mkdir()
    assert "there is a folder 'bert' here" in message("hub:bert")
    assert "has no config.json" in message("bert")


def test_a_hub_name_is_the_same_model_with_and_without_its_mark(here):
    assert preflight.model_fingerprint("hub:bert") == preflight.model_fingerprint("bert")
    assert preflight.model_fingerprint("hub:bert") != preflight.model_fingerprint("bertha")


def test_what_a_name_is_taken_for_is_told(here):
    winner = here / "runs" / "one" / "glue-mnli" / "best"
    winner.mkdir(parents=True)
    (winner / "config.json").write_text("{}")
    (winner / "model.safetensors").write_text("")
    assert describe_model("scratch:1x64") == (
        "random weights: bert, 1 layer of width 64, 4,000 words"
    )
    assert describe_model("s3://b/model") == "a URI, which is fetched"
    run = "the winner of a run, runs/one/glue-mnli/best"
    assert describe_model("runs/one") == describe_model("runs/one/glue-mnli") == run
    assert describe_model("runs/one/glue-mnli/best") == "a folder"
    hub = "a name on a hub, which is asked when the run starts"
    assert describe_model("bert-base-uncased") == describe_model("hub:bert-base-uncased") == hub
