"""What a task with `from` trains: real models over files, without Ray."""

import pytest
from support.local_runs import run_locally
from support.written_runs import write_data

from raysearch import results, study
from raysearch.models.training_record import decode_record
from raysearch.predictions.model_evaluation import evaluate
from raysearch.run_folder import read_journal
from raysearch.storage import read_json
from raysearch.verification.rerun import Winner

TOY, RTE, SEEDS = "toy/grammar", "glue/rte", (11, 12)
FIXED = {"BSZ": 8, "EPOCH": {"steps": 4}, "evaluations": 2, "max_length": 32, "dev_examples": 30,
         "dropout": 0}  # fmt: skip
SPACE = {"LR": {"choice": [1e-3, 3e-3]}}


def chain(**parts):
    return {"name": "chain", "tasks": [RTE, TOY], "model": "scratch:1x64", "fixed": FIXED,
            "space": SPACE, "search": {"sampler": "grid"},
            "confirm": {"top": 1, "seeds": list(SEEDS)}, **parts}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same chain from the winner alone and seed by seed; and RTE alone, from that winner."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("chains")
        patch.setenv("RAYSEARCH_CACHE", str(place / "cache"))
        data = write_data(place / "data")
        made = {}
        for name, start in (("winner", TOY), ("same", {"task": TOY, "seed": "same"})):
            raw = chain(per_task={RTE: {"from": start}})
            made[name] = run_locally(place / name, data, raw, patch)
        best = str(made["winner"] / "toy-grammar" / "best")
        made["alone"] = run_locally(place / "alone", data, chain(tasks=[RTE], model=best), patch)
    return made


def curves(folder):
    """Losses and scores of RTE's trials, by configuration, seed and phase."""
    return {
        (r.phase, r.seed, *r.configuration.values()): [(x.loss, x.scores) for x in r.reports]
        for r in read_journal(folder).of(RTE)
    }


pytestmark = pytest.mark.slow


def test_a_chain_trains_what_a_study_that_names_the_winner_s_folder_trains(runs):
    assert curves(runs["winner"]) == curves(runs["alone"])
    assert len(curves(runs["winner"])) == 4


def test_with_the_same_seed_only_the_winner_s_own_seed_trains_the_same(runs):
    best = read_json(runs["same"] / "toy-grammar" / "best" / "config.json")["raysearch"]["trial"]
    kept, own = curves(runs["winner"]), curves(runs["same"])
    assert best["seed"] in SEEDS
    for key in kept:
        phase, seed, *_ = key
        assert (own.get(key) == kept[key]) == (phase == "search" or seed == best["seed"]), key


def test_all_that_is_written_says_what_was_started_from(runs):
    folder = runs["winner"]
    records = read_journal(folder)
    start = records.trials[records.of(RTE)[0].start]
    text = f"from the winner of toy/grammar, trial {start.id}, accuracy"
    assert text in (folder / "table.md").read_text()
    assert text in (folder / "glue-rte" / "best.yaml").read_text()
    card = (folder / "glue-rte" / "best" / "README.md").read_text()
    assert f"Started {text}" in card
    assert "fine-tuned from scratch:1x64 by way of toy/grammar" in card
    assert "scratch:1x64 by way of toy/grammar" in (folder / "reproducibility.md").read_text()
    config = read_json(folder / "glue-rte" / "best" / "config.json")
    assert decode_record(config["raysearch"], "").model == "scratch:1x64 by way of toy/grammar"
    again = study.load(folder / "glue-rte" / "best.yaml")
    assert again.tasks == (TOY, RTE)
    assert again.resolve(RTE).source.name == TOY


def test_verify_trains_the_winner_of_a_chain_again_with_all_that_it_came_from(runs):
    searched, records = study.load(runs["same"] / "study.yaml"), read_journal(runs["same"])
    winner = Winner.of(searched.resolve(RTE), records, "scratch:1x64", 1)
    assert winner.study.tasks == (TOY, RTE)
    assert winner.study.confirm.seeds == SEEDS  # they decide what is started from
    assert [record.seed for record in winner.ranked.trials] == list(SEEDS)
    assert winner.study.resolve(RTE).start == searched.resolve(RTE).start
    assert Winner.of(searched.resolve(TOY), records, "scratch:1x64", 1).study.tasks == (TOY,)


def test_the_files_of_a_chain_are_the_same_when_they_are_written_again(runs):
    for folder in (runs["winner"], runs["same"]):
        before = (folder / "table.md").read_text()
        results.write_exports(folder)
        assert (folder / "table.md").read_text() == before
        assert not (folder / "toy-grammar" / "weights").exists()


def test_a_chain_of_tasks_with_adapters_ends_with_whole_models_of_every_seed(
    toy_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    data = write_data(tmp_path / "data")
    model, start = str(toy_folder("bert")), {"task": TOY, "seed": "same"}
    fixed = {**FIXED, "lora_rank": 4, "max_length": 24}
    raw = chain(model=model, recipe="lora", fixed=fixed, per_task={RTE: {"from": start}},
                search={"sampler": "grid", "keep_weights": "confirmed"})  # fmt: skip
    folder = run_locally(tmp_path / "run", data, raw, monkeypatch)
    records = read_journal(folder)
    for slug, task in (("toy-grammar", TOY), ("glue-rte", RTE)):
        whole = [folder / slug / "best", *(folder / slug / "seeds").iterdir()]
        trained = {read_json(path / "config.json")["raysearch"]["trial"]["id"] for path in whole}
        assert trained == {record.id for record in records.of(task, "confirm")}
        assert not (folder / slug / "weights").exists()
        for path in whole:  # `evaluate` scores the merged model as the trial did
            record = records.trials[read_json(path / "config.json")["raysearch"]["trial"]["id"]]
            found = evaluate(path, tasks=task, data=data, settings={"dev_examples": 30})
            scores = {score.name: score.value for score in found.scores}
            assert scores["dev.accuracy"] == pytest.approx(record.best["dev.accuracy"], abs=1e-6)


def test_a_chain_over_the_same_cells_trains_nothing_and_a_longer_one_starts_from_a_copied_winner(
    runs, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    data, first = write_data(tmp_path / "data"), runs["winner"]
    again, trained = tmp_path / "again", []
    run_locally(again, data, chain(per_task={RTE: {"from": TOY}}), monkeypatch, [first], trained)
    assert trained == []
    assert curves(again) == curves(first)
    for slug in ("toy-grammar", "glue-rte"):
        names = (slug, "best", "model.safetensors")
        assert again.joinpath(*names).read_bytes() == first.joinpath(*names).read_bytes()
    longer = chain(per_task={RTE: {"from": TOY}}, confirm={"top": 2, "seeds": list(SEEDS)})
    made = run_locally(tmp_path / "longer", data, longer, monkeypatch, [again], trained)
    others = {r.id for r in read_journal(made).of(RTE)} - {
        r.id for r in read_journal(first).of(RTE)
    }
    toys = {r.id for r in read_journal(made).of(TOY)} - {r.id for r in read_journal(first).of(TOY)}
    assert {r.id for r in trained} == others | toys
