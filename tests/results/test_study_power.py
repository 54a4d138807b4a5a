"""What a plan says before a run: which differences its seeds and dev examples will show."""

import math

import pytest
from support.paths import SHARED
from typer.testing import CliRunner

from raysearch import preflight, study
from raysearch.cli import app
from raysearch.results.study_power import study_power
from raysearch.tasks import get
from raysearch.tasks.sizes import SIZES


def parse(*, seeds=(), tasks=("glue/rte",), published=(), search=None, **fixed):
    rows = [
        {"row": f"system {index}", "source": "a paper", "results": {"glue/rte": {"scores": scores}}}
        for index, scores in enumerate(published)
    ]
    return study.parse({"name": "planned", "tasks": list(tasks), "model": "scratch", "fixed": fixed,
                        "confirm": {"seeds": list(seeds)}, "search": search or {},
                        "published": rows})  # fmt: skip


def test_the_interval_of_a_model_on_rte_has_four_points_each_way_at_the_published_score():
    (power,) = study_power(parse(published=[{"accuracy": 86.6}]), {})
    assert (power.examples, power.score, power.seeds) == (277, 0.866, 1)
    assert f"{100 * power.each_way:.1f}" == "4.0"
    assert power.visible is None  # of one seed no spread is measured
    (many,) = study_power(parse(seeds=range(100), published=[{"accuracy": 86.6}]), {})
    error = math.sqrt(0.866 * 0.134 / 277)
    spread = 0.012 * math.sqrt(3668 / 2490) * math.sqrt(math.pi / 2 / 100)  # of a median
    assert many.visible == pytest.approx(2.8 * math.hypot(error, spread), rel=0.01)


def test_more_seeds_see_less_but_never_less_than_the_examples_allow():
    visible = [study_power(parse(seeds=range(count)), {})[0].visible for count in (3, 5, 25)]
    assert visible[0] > visible[1] > visible[2] > 2.8 * math.sqrt(0.85 * 0.15 / 277)


def test_the_examples_that_are_scored_count_and_the_data_before_what_is_known():
    assert study_power(parse(dev_examples=100), {})[0].examples == 100
    sizes = {"glue/rte": {"train": 1000, "dev": 150}}
    assert study_power(parse(), sizes)[0].examples == 150
    assert study_power(parse(search={"hold_out": 0.4}), sizes)[0].examples == 60


def test_a_task_of_unknown_size_is_left_out_until_its_data_are_read():
    assert not study_power(parse(tasks=["xtreme/panx"]), {})
    read = {
        "xtreme/panx": {
            split.name: 100 for split in (get("xtreme/panx").train, *get("xtreme/panx").dev)
        }
    }
    assert study_power(parse(tasks=["xtreme/panx"]), read)[0].examples == 100


@pytest.mark.parametrize(("scores", "alike"), [((86.6, 87.4), True), ((66.0, 86.6), False)])
def test_the_plan_says_whether_the_published_systems_can_be_told_apart(tmp_path, scores, alike):
    planned = parse(seeds=(1, 2, 3), published=[{"accuracy": score} for score in scores])
    path = tmp_path / "study.yaml"
    path.write_text(study.dump(planned))
    text = CliRunner().invoke(app, ["check", str(path)]).stdout
    assert f"{scores[0]} to {scores[1]}" in text
    assert (
        "glue/rte: all published systems differ by less than this study can see" in text
    ) == alike
    assert "Card et al., 2020" in " ".join(text.split())


def test_a_plan_without_published_scores_says_what_it_assumes(tmp_path):
    text = CliRunner().invoke(app, ["check", "quickstart"]).stdout
    assert "toy/grammar: a score of 85 is assumed" in text


@pytest.mark.parametrize("name", ["glue/sst2", "glue/cola", "glue/rte", "glue/mrpc"])
def test_the_known_sizes_are_those_of_the_files(name):
    planned = parse(tasks=[name])
    survey = preflight.survey(planned, SHARED / "data")
    if survey.problems:
        pytest.skip(f"no data of {name} under {SHARED}")
    sizes = survey.sizes[name]
    task = planned.resolve(name)
    training = sum(sizes[split.name] for split in task.training_splits)
    assert (training, sizes[task.row.dev[0].name]) == SIZES[name]
