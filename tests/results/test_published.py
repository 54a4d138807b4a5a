"""What the studies of SQuAD, RACE and XTREME say of published systems, against numbers copied a
second time from where they are printed; and `raysearch table STUDY --published`."""

import json
import re
from functools import cache

import pytest
import yaml
from support.paths import ROOT
from support.run_folders import Script, write_study
from typer.testing import CliRunner

from raysearch import results, study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.recipes.schedule import learning_rate, make_schedule
from raysearch.results.paper_table import paper_table
from raysearch.results.published_table import study_file
from raysearch.tasks import TASKS

FOLDER = ROOT / "search_spaces"
SQUAD1, SQUAD2, RACE = "squad/v1.1", "squad/v2.0", "race/all"
STUDIES = sorted(path.stem for path in FOLDER.glob("*.yaml") if "\npublished:" in path.read_text())


@cache
def load(name):
    return study.load(FOLDER / f"{name}.yaml")


def rows(of, task):
    """Row -> its result, of every published row of a task."""
    return {p.row: p.results[task] for p in load(of).published if task in p.results}


def text(name):
    """The comments at the top of a study, as running text."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines)


# GluonNLP --------------------------------------------------------------------------------------

# scripts/question_answering/README.md: F1/EM on SQuAD 1.1 and on 2.0.
GLUON_FP32 = """
ALBERT base       90.37/83.57   82.38/79.49
ALBERT large      92.68/86.57   85.05/82.18
ALBERT xlarge     93.71/87.49   87.78/84.79
ALBERT xxlarge    94.50/88.44   90.29/87.29
BERT base         88.44/81.54   76.29/73.52
BERT large        90.65/84.02   81.41/78.61
ELECTRA small     85.76/79.16   73.96/71.36
ELECTRA base      92.64/86.99   86.49/83.80
ELECTRA large     94.79/89.52   90.61/88.18
MobileBERT        89.69/82.88   80.33/77.76
RoBERTa large     94.57/88.88   89.35/86.46
"""
GLUON_AMP = """
ALBERT base       90.48/83.86   82.40/79.50
ALBERT large      92.55/86.27   85.10/82.19
ALBERT xlarge     93.72/87.65   88.20/85.29
ALBERT xxlarge    94.68/88.69   90.13/87.19
ELECTRA base      92.75/87.20   86.50/83.87
ELECTRA large     94.92/89.81   90.54/88.07
ELECTRA small     85.82/79.12   74.10/71.38
BERT base cased, GluonNLP's  88.60/81.92  78.15/75.22
RoBERTa large     94.59/88.80   89.44/86.50
BERT base         88.31/81.22   76.45/73.60
BERT large        90.61/83.81   81.52/78.60
BERT wwm large    93.29/87.68   84.88/82.21
"""
ORIGINAL = """
ALBERT base, Google      90.2/83.2   82.1/79.3
ALBERT large, Google     91.8/85.2   84.9/81.8
ALBERT xlarge, Google    92.9/86.4   87.9/84.1
ALBERT xxlarge, Google   94.6/89.1   89.8/86.9
BERT base, Google        88.5/80.8   -/-
BERT large, Google       90.9/84.1   -/-
ELECTRA small, Google    -/75.8      -/70.1
ELECTRA base, Google     -/86.8      -/83.7
ELECTRA large, Google    -/89.7      -/88.1
MobileBERT, Google       90.0/82.9   79.2/76.2
RoBERTa large, fairseq   94.6/88.9   89.4/86.5
"""
# commands/run_squad2_*.sh: batch of a GPU, accumulated, LR, epochs, warmup, weight decay, layerwise
# decay, length, clip; four GPUs.
COMMANDS = {
    "ALBERT base": (4, 3, 2e-5, 3, 0.1, 0.01, None, 512, 1.0),
    "ALBERT large": (3, 4, 2e-5, 3, 0.1, 0.01, None, 512, 1.0),
    "ALBERT xlarge": (1, 12, 2e-5, 3, 0.1, 0.01, None, 512, 0.1),
    "ALBERT xxlarge": (1, 12, 2e-5, 3, 0.1, 0.01, None, 512, 0.1),
    "ELECTRA small": (8, 1, 3e-4, 2, 0.1, 0, 0.8, 512, 1.0),
    "ELECTRA base": (8, 1, 1e-4, 2, 0.1, 0, 0.8, 512, 1.0),
    "ELECTRA large": (2, 4, 5e-5, 2, 0.1, 0, 0.9, 512, 1.0),
    "MobileBERT": (8, 1, 4e-5, 5, 0.1, 0.01, None, 384, 1.0),
    "RoBERTa large": (2, 6, 3e-5, 3, 0.2, 0.01, None, 512, 1.0),
    "BERT base": (6, 2, 3e-5, 3, 0.1, 0.01, None, 512, 1.0),
    "BERT large": (2, 6, 3e-5, 3, 0.1, 0.01, None, 512, 1.0),
    "BERT base cased, GluonNLP's": (6, 2, 3e-5, 3, 0.1, 0.01, None, 512, 1.0),
    "BERT wwm large": (3, 2, 3e-5, 2, 0.1, 0.01, None, 512, 1.0),
}
HUB = {
    "ALBERT base": "albert-base-v2",
    "ALBERT xxlarge": "albert-xxlarge-v2",
    "BERT large": "bert-large-uncased",
    "BERT wwm large": "bert-large-uncased-whole-word-masking",
    "BERT base cased, GluonNLP's": None,
    "ELECTRA small": "google/electra-small-discriminator",
    "MobileBERT": "google/mobilebert-uncased",
    "RoBERTa large": "roberta-large",
}


def copied(table, version):
    """Row -> its scores under their names, of one of the tables above."""
    names = (("f1", "exact"), ("best_f1", "best_exact"))[version]
    found = {}
    for line in table.strip().splitlines():
        row, *cells = re.split(r"\s{2,}", line)
        scores = zip(names, cells[version].split("/"), strict=True)
        if scores := {name: float(score) for name, score in scores if score != "-"}:
            found[row] = scores
    return found


@pytest.mark.parametrize("version", [0, 1])
def test_gluonnlp_has_a_row_for_every_score_of_its_readme(version):
    found = rows(f"gluonnlp-squad{version + 1}", (SQUAD1, SQUAD2)[version])
    amp = copied(GLUON_AMP, version)
    wanted = copied(GLUON_FP32, version) | copied(ORIGINAL, version)
    wanted |= {f"{row}, AMP": scores for row, scores in amp.items()}
    assert {row: result.scores for row, result in found.items()} == wanted
    assert len(found) == (34, 32)[version]


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("model", COMMANDS)
def test_gluonnlp_has_the_settings_of_its_commands(version, model):
    batch, accumulated, lr, epochs, warmup, decay, layerwise, length, clip = COMMANDS[model]
    wanted = {
        "BSZ": 4 * batch * accumulated, "LR": lr, "EPOCH": epochs, "WARMUP": warmup,
        "weight_decay": decay, "max_length": length, "clip": clip,
        **({"layerwise_decay": layerwise} if layerwise else {}),
    }  # fmt: skip
    found = rows(f"gluonnlp-squad{version + 1}", (SQUAD1, SQUAD2)[version])
    for row, precision in ((model, "fp32"), (f"{model}, AMP", "fp16")):
        if row in found:
            assert found[row].settings == wanted | {"precision": precision}
    assert model in found or f"{model}, AMP" in found
    models = {p.row: p.model for p in load(f"gluonnlp-squad{version + 1}").published}
    if model in HUB:
        assert models.get(model, models.get(f"{model}, AMP")) == HUB[model]


@pytest.mark.parametrize("name", ["gluonnlp-squad1", "gluonnlp-squad2"])
def test_gluonnlp_trains_with_its_own_optimizer_windows_and_head(name):
    gluon = load(name)
    hyper = gluon.resolve(gluon.tasks[0]).hyperparameters(
        {"LR": 1.0, "BSZ": 1, "EPOCH": {"steps": 10}}
    )
    assert (hyper.bias_correction, hyper.adam_eps, hyper.clip) == (False, 1e-6, 1.0)
    assert hyper.decay_exclude == ("bias", "norm")
    assert (hyper.max_length, hyper.doc_stride, hyper.query_length) == (512, 128, 64)
    assert (hyper.stride_as, hyper.span_head, hyper.answerable_by) == (
        "step", "conditional", "window",
    )  # fmt: skip
    assert (hyper.beam, hyper.n_best, hyper.answer_length) == (5, 20, 30)
    assert gluon.search.select == "last"
    made = make_schedule(hyper.model_copy(update={"WARMUP": 0.2}), 10)
    rates = [learning_rate(hyper, made, step) for step in range(10)]
    assert rates[:2] == [0.5, 1.0]  # the first update is not at 0, the last is
    assert rates[-1] == 0


# Windows that the file names of the README imply, and the steps that they hold.
@pytest.mark.parametrize(
    ("study_name", "model", "windows", "steps", "apart"),
    [
        ("gluonnlp-squad2", "ALBERT base", (130_605, 130_608), 8163, 0),
        ("gluonnlp-squad2", "BERT base", (130_537, 130_548), 8160, 0),
        ("gluonnlp-squad2", "BERT large", (130_537, 130_548), 8159, 1),
        ("gluonnlp-squad2", "ELECTRA base", (130_537, 130_548), 8160, 0),
        ("gluonnlp-squad2", "ELECTRA large", (130_537, 130_548), 8159, 1),
        ("gluonnlp-squad2", "MobileBERT", (131_905, 131_936), 20_615, 0),
        ("gluonnlp-squad2", "BERT wwm large, AMP", (130_537, 130_548), 10_879, 1),
        ("gluonnlp-squad1", "ALBERT base", (87_761, 87_768), 5486, 1),
    ],
)
def test_gluonnlp_trains_as_many_steps_as_its_file_names_say(
    study_name, model, windows, steps, apart
):
    gluon = load(study_name)
    hyper = gluon.resolve(gluon.tasks[0]).hyperparameters(
        rows(study_name, gluon.tasks[0])[model].settings
    )
    for count in windows:
        assert make_schedule(hyper, count).steps - steps == apart


def test_gluonnlp_starts_from_the_models_with_one_learning_rate():
    for name in ("gluonnlp-squad1", "gluonnlp-squad2"):
        gluon = load(name)
        starts = [tuple(point.values()) for point in gluon.resolve(gluon.tasks[0]).initial_points]
        assert starts == [
            (48, 2e-5, 3, 0.1), (48, 3e-5, 3, 0.1), (48, 3e-5, 3, 0.2), (24, 3e-5, 2, 0.1),
        ]  # fmt: skip


def test_gluonnlp_says_where_readme_and_commands_disagree():
    for name in ("gluonnlp-squad1", "gluonnlp-squad2"):
        words = text(name)
        assert "clip 1.0 for all but the two largest ALBERTs" in words
        assert "BSZ 32 for ELECTRA and MobileBERT and 24 for wwm" in words
        assert "links ELECTRA's command" in words
    assert "quotes 83.7 EM as Google's" in text("gluonnlp-squad2")


# BERT and ELECTRA ------------------------------------------------------------------------------


def test_bert_publishes_its_paper_its_example_and_what_transformers_measured():
    first, second = rows("bert-squad", SQUAD1), rows("bert-squad", SQUAD2)
    assert first["BERT base, paper"].settings == {
        "BSZ": 32, "LR": 5e-5, "EPOCH": 3, "WARMUP": 0.1,
    }  # fmt: skip
    assert second["BERT large, paper"].settings == {
        "BSZ": 48, "LR": 5e-5, "EPOCH": 2, "WARMUP": 0.1,
    }  # fmt: skip
    assert first["BERT base, Google's example"].scores == {"f1": 88.41, "exact": 81.25}
    assert first["BERT base, Google's example"].settings["BSZ"] == 12
    assert first["BERT large, Google's example"].scores == {"f1": 90.87, "exact": 84.39}
    assert first["BERT large, Google's example"].settings["BSZ"] == 24
    hf = first["BERT base, transformers"]
    assert hf.scores == {"f1": 88.52, "exact": 81.22}
    assert (hf.settings["BSZ"], hf.settings["LR"], hf.settings["EPOCH"]) == (12, 3e-5, 2)
    assert (hf.settings["WARMUP"], hf.settings["stride_as"]) == (0, "overlap")
    roberta = second["RoBERTa large, paper"]
    assert roberta.settings["LR"] == 1.5e-5
    assert roberta.scores == {"best_f1": 89.4, "best_exact": 86.5}


def test_scores_at_a_fixed_and_at_the_best_threshold_are_never_mixed():
    fixed = {"f1", "exact", "has_answer_f1", "has_answer_exact"}
    fixed |= {"no_answer_f1", "no_answer_exact"}
    kinds = []
    for name in ("gluonnlp-squad2", "bert-squad", "electra-squad"):
        for row, result in rows(name, SQUAD2).items():
            best = {score.startswith("best_") for score in result.scores}
            assert len(best) <= 1, row
            assert set(result.scores) <= (fixed if best == {False} else {"best_f1", "best_exact"})
            kinds += [row] if best == {False} else []
    assert kinds == ["RoBERTa large, transformers"]  # run_qa tunes nothing
    assert rows("bert-squad", SQUAD2)[kinds[0]].scores == {
        "f1": 89.00, "exact": 86.05, "has_answer_f1": 89.28, "has_answer_exact": 83.38,
        "no_answer_f1": 88.71, "no_answer_exact": 88.71,
    }  # fmt: skip


def test_bert_trains_as_google_and_starts_from_paper_and_example():
    bert = load("bert-squad")
    hyper = bert.resolve(SQUAD1).shared
    assert (hyper.schedule, hyper.bias_correction, hyper.adam_eps) == ("bert", False, 1e-6)
    assert (hyper.max_length, hyper.doc_stride, hyper.span_head) == (384, 128, "plain")
    assert {"BSZ": 12, "LR": 3e-5, "EPOCH": 2} in bert.resolve(SQUAD1).initial_points
    assert bert.resolve(SQUAD2).initial_points == [{"BSZ": 48, "LR": 5e-5, "EPOCH": 2}]


@pytest.mark.parametrize(
    ("model", "lr", "decay", "first", "second"),
    [
        ("ELECTRA small", 3e-4, 0.8, 75.8, 70.1),
        ("ELECTRA base", 1e-4, 0.8, 86.8, 80.5),
        ("ELECTRA large", 5e-5, 0.9, 89.7, 88.1),
    ],
)
def test_electra_publishes_settings_and_exact_matches(model, lr, decay, first, second):
    settings = {"BSZ": 32, "LR": lr, "EPOCH": 2, "WARMUP": 0.1, "layerwise_decay": decay}
    one, two = rows("electra-squad", SQUAD1)[model], rows("electra-squad", SQUAD2)[model]
    assert (one.settings, two.settings) == (settings, settings)
    assert (one.scores, two.scores) == ({"exact": first}, {"best_exact": second})


def test_electra_trains_as_its_code():
    electra = load("electra-squad")
    hyper = electra.resolve(SQUAD2).shared
    assert (hyper.schedule, hyper.layerwise_offset, hyper.weight_decay) == ("electra", 2, 0)
    assert (hyper.span_head, hyper.answerable_by, hyper.beam) == ("conditional", "example", 20)
    assert (hyper.max_length, hyper.query_length, hyper.answerable_weight) == (512, 64, 0.5)
    # the gradient of a sum over 32 examples, clipped at 1, as that of their mean
    assert (hyper.clip * hyper.BSZ, hyper.adam_eps * hyper.BSZ) == (1, pytest.approx(1e-6))
    assert {"LR": 1e-4, "layerwise_decay": 0.8} in electra.resolve(SQUAD2).initial_points


# RACE ------------------------------------------------------------------------------------------


def test_race_scores_stand_under_the_level_that_they_are_of():
    found = {row: result.scores for row, result in rows("roberta-race", RACE).items()}
    assert found == {
        "RoBERTa large, paper": {
            "test.accuracy": 83.2, "test.middle.accuracy": 86.5, "test.high.accuracy": 81.3,
        },
        "RoBERTa large, fairseq's README": {},
        "RoBERTa large, one V100, best epoch": {"accuracy": 84.4, "test.middle.accuracy": 86.8},
        "RoBERTa large, one V100, last epoch": {"accuracy": 83.3},
        "RoBERTa large, a user's run, best epoch": {"accuracy": 84.7},
        "RoBERTa large, a user's run, last epoch": {"accuracy": 83.6},
        "RoBERTa base, transformers": {"test.accuracy": 69.46},
    }  # fmt: skip


def test_race_has_the_papers_settings_and_the_readmes_apart():
    race = load("roberta-race")
    found = rows("roberta-race", RACE)
    paper = {"BSZ": 16, "LR": 1e-5, "EPOCH": 4, "WARMUP": 0.06}
    paper |= {"weight_decay": 0.1, "schedule": "linear"}
    readme = {"BSZ": 16, "LR": 1e-5, "EPOCH": 5, "WARMUP": 0}
    readme |= {"weight_decay": 0.01, "schedule": "constant"}
    assert found["RoBERTa large, paper"].settings == paper
    for row in ("fairseq's README", "one V100, best epoch", "one V100, last epoch"):
        assert found[f"RoBERTa large, {row}"].settings == readme
    assert race.resolve(RACE).initial_points == [paper, readme]
    hyper = race.resolve(RACE).hyperparameters(paper)
    assert (hyper.adam_betas, hyper.adam_eps, hyper.adam_eps_on) == ((0.9, 0.98), 1e-6, "raw")
    assert (hyper.clip, hyper.decay_exclude, hyper.segments) == (None, (), "qa_first")
    assert (hyper.max_length, hyper.qa_length) == (512, 128)
    assert (hyper.precision, hyper.fp16_scale, hyper.fp16_window) == ("fp16", 4, 128)


def test_race_readmes_schedule_is_constant_and_its_steps_are_those_of_its_log():
    race = load("roberta-race")
    readme = race.resolve(RACE).hyperparameters(race.resolve(RACE).initial_points[1])
    made = make_schedule(readme, 87_866)
    # the log has 27,301: updates that overflowed are not counted there
    assert (made.steps, made.warmup) == (27_460, 0)
    assert {learning_rate(readme, made, step) for step in (0, 1000, 27_459)} == {1e-5}
    paper = race.resolve(RACE).hyperparameters(race.resolve(RACE).initial_points[0])
    assert (make_schedule(paper, 87_866).steps, make_schedule(paper, 87_866).warmup) == (
        21_968,
        1318,
    )


def test_race_says_how_its_numbers_hang_together():
    words = text("roberta-race")
    assert "86.8 is of the 1,436 questions of RACE-Middle only" in words
    assert "84.4 on dev is of the best epoch" in words
    assert "is 82.8, not the 83.2 that fairseq prints" in words
    assert round((1436 * 86.5 + 3498 * 81.3) / 4934, 1) == 82.8


def test_generic_race_searches_around_the_published_recipes_and_warns():
    race = load("race-generic")
    assert min(race.space["BSZ"].choice) >= 16
    assert min(race.space["WARMUP"].choice) > 0
    assert race.resolve(RACE).initial_points == [
        {"BSZ": 16, "LR": 1e-5, "EPOCH": 4, "WARMUP": 0.06}
    ]
    assert race.resolve(RACE).shared.segments == "passage_first"
    words = text("race-generic")
    for warning in ("keep BSZ", "at 16 or more", "keep a warmup", "stay at chance"):
        assert warning in words
    found = rows("race-generic", RACE)
    assert len(found) == 12
    every, middle, high = "test.accuracy", "test.middle.accuracy", "test.high.accuracy"
    assert found["ALBERT xxlarge, 1.5M steps"].scores == {every: 86.5, middle: 89.0, high: 85.5}
    assert found["XLNet large"].scores == {every: 81.75, middle: 85.5, high: 80.2}
    assert found["BERT large"].scores == {every: 72.0, middle: 76.6, high: 70.1}
    assert found["DeBERTa large, 512 tokens"].scores == {every: 86.3, middle: 88.8, high: 85.0}
    sizes = [found[f"ALBERT {size}, v2"].scores for size in ("base", "large", "xlarge", "xxlarge")]
    assert sizes == [{every: 66.8}, {every: 75.2}, {every: 80.7}, {every: 86.8}]
    second = found["ALBERT base, v2"].settings
    assert (second["LR"], second["dropout"], second["WARMUP"]) == (1e-5, 0, {"steps": 1000})
    assert found["ALBERT xxlarge, 1M steps"].settings["LR"] == 2e-5
    made = make_schedule(race.resolve(RACE).hyperparameters(second), 87_866)
    assert (made.steps, made.warmup) == (12_000, 1000)


# XTREME ----------------------------------------------------------------------------------------

# scripts/train_*.sh: BSZ, LR of base, LR of large, epochs, warmup steps, length, weight decay;
# then examples (of spans windows, not known) and the script's steps for base.
XTREME = {
    "xnli": (32, 2e-5, 3e-5, 5, 0, 128, 0, 392_702, 61_360),
    "pawsx": (32, 2e-5, 2e-5, 5, 0, 128, 0, 49_401, 7720),
    "panx": (32, 2e-5, 2e-5, 10, 0, 128, 0, 20_000, 6250),
    "udpos": (32, 2e-5, 2e-5, 10, 0, 128, 0, None, None),
    "mlqa": (32, 3e-5, 3e-5, 3, 500, 384, 1e-4, None, None),
    "xquad": (32, 3e-5, 3e-5, 3, 500, 384, 1e-4, None, None),
    "tydiqa": (32, 3e-5, 3e-5, 3, 500, 384, 1e-4, None, None),
}


@pytest.mark.parametrize("task", XTREME)
def test_xtreme_has_the_settings_of_its_scripts(task):
    bsz, base, large, epochs, warmup, length, decay, examples, steps = XTREME[task]
    xlmr, name = load("xlmr-xtreme-baseline"), f"xtreme/{task}"
    for size, lr in (("base", base), ("large", large)):
        hyper = xlmr.resolve(name).hyperparameters(
            rows("xlmr-xtreme-baseline", name)[f"XLM-R {size}, XTREME's scripts"].settings
        )
        assert (hyper.BSZ, hyper.LR, hyper.EPOCH, hyper.max_length) == (bsz, lr, epochs, length)
        assert (hyper.weight_decay, hyper.adam_eps, hyper.clip) == (decay, 1e-8, 1.0)
        made = make_schedule(hyper, examples or 100_000)
        assert made.warmup == warmup
        assert steps is None or made.steps == steps
        assert {"LR": lr, "EPOCH": epochs} in xlmr.resolve(name).initial_points
    if TASKS[name].head == "span":
        assert (hyper.doc_stride, hyper.stride_as, hyper.query_length) == (128, "step", 64)
        assert len(made.evaluations) == 1  # the last weights count
    assert learning_rate(hyper, made, 0) == (0 if warmup else pytest.approx(lr, rel=1e-3))


def test_xtreme_selects_in_english_and_publishes_languages_and_their_mean():
    xlmr = load("xlmr-xtreme-baseline")
    assert set(xlmr.tasks) == {f"xtreme/{task}" for task in XTREME}
    assert (xlmr.search.select, xlmr.search.select_on) == ("best", "first")
    assert [xlmr.resolve(name).selection_metric for name in xlmr.tasks][:2] == ["dev.accuracy"] * 2
    scores = rows("xlmr-xtreme-baseline", "xtreme/xnli")["XLM-R base, zero-shot"].scores
    printed = {
        "fr": 79.7, "es": 80.7, "de": 78.7, "el": 77.5, "bg": 79.6, "ru": 78.1, "tr": 74.2,
        "ar": 73.8, "vi": 76.5, "th": 74.6, "zh": 76.7, "hi": 72.4, "sw": 66.5, "ur": 68.3,
    }  # fmt: skip
    languages = {f"{code}.accuracy": score for code, score in printed.items()}
    assert scores == {"accuracy": 85.8, "mean.accuracy": 76.2, **languages}
    assert round((85.8 + sum(printed.values())) / 15, 1) == 76.2
    pos = rows("xlmr-xtreme-baseline", "xtreme/udpos")
    assert pos["XLM-R large, XTREME paper"].scores == {"test.mean.pos_f1": 73.8}
    assert pos["XLM-R large, a user's run"].scores == {
        "test.pos_f1": 96.15, "test.mean.pos_f1": 74.2,
        "test.token_accuracy": 96.7, "test.mean.token_accuracy": 78.23,
    }  # fmt: skip


# raysearch table STUDY --published -------------------------------------------------------------


def shown(name, *options):
    done = CliRunner().invoke(app, ["table", str(FOLDER / f"{name}.yaml"), "--published", *options])
    return done.exit_code, done.output


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_prints_what_was_published_in_every_layout(name):
    code, out = shown(name)
    assert code == 0
    assert out.startswith(f"**{name}: published**\n")
    for system in load(name).published:
        assert system.row in out
        assert system.source in out
    for layout, start in (("csv", ("system,", "row,")), ("tex", "% needs"), ("json", "{")):
        code, out = shown(name, "--format", layout)
        assert code == 0
        assert out.startswith(start)


@pytest.mark.parametrize("name", STUDIES)
def test_every_published_score_and_setting_is_in_the_table(name):
    """Of tasks that the study searches; each row's values, in whichever layout it has."""
    found = load(name)
    table = paper_table(found)
    for system in found.published:
        lines = [row for row in table.rows if system.row in (row.name, row.system)]
        values = []
        for cell in (cell for line in lines for cell in line.cells):
            values += cell.value if isinstance(cell.value, list) else [cell.value]
        for task in set(system.results) & set(found.tasks):
            result = system.results[task]
            for score, percent in result.scores.items():
                assert percent / 100 in values, (system.row, score)
            for setting, value in result.settings.items():
                assert any(value == one for one in values), (system.row, setting)


def test_a_study_of_one_task_has_a_line_for_each_model():
    code, out = shown("gluonnlp-squad2")
    lines = out.splitlines()
    assert code == 0
    assert lines[2] == (
        "|  | model | BSZ | LR | EPOCH | WARMUP | precision | weight_decay | max_length | clip "
        "| layerwise_decay | best_f1 | best_exact |"
    )
    assert (
        "| ELECTRA large | google/electra-large-discriminator | 32 | 5e-5 | 2 | 0.1 | fp32 | 0 "
        "| 512 | 1 | 0.9 | 90.61 | 88.18 |"
    ) in lines
    quoted = " ".join(["| RoBERTa large, fairseq | roberta-large |", *["- |"] * 9, "89.4 | 86.5 |"])
    assert quoted in lines
    _, out = shown("roberta-race")
    assert "| accuracy | test.accuracy | test.middle.accuracy | test.high.accuracy |" in out
    assert "| constant | 84.4 | - | 86.8 | - |" in out
    assert "| linear | - | 83.2 | 86.5 | 81.3 |" in out


def test_studies_of_several_tasks_have_a_column_for_each():
    _, out = shown("bert-squad")
    assert "|  | squad/v1.1 | squad/v2.0 |" in out
    assert "| Result | 90.9 | 81.8 |\n| exact | 84.1 | - |\n| best_exact | - | 79.0 |" in out
    assert "| Result | - | 89.00 (f1) |" in out
    _, out = shown("xlmr-xtreme-baseline")
    assert "|  | xnli | pawsx | panx | udpos | mlqa | xquad | tydiqa |" in out
    assert "| Result | 85.8 | - |" in out
    assert "| mean.accuracy | 76.2 | - |" in out
    assert "| sw | 66.5 | - |" in out
    assert "| mean.pos_f1 (test) | - | - | - | 73.8 | - | - | - |" in out


def test_test_scores_are_printed_as_such_and_not_averaged():
    _, out = shown("miniatures-glue", "--format", "json")
    table = json.loads(out)
    assert table["columns"][-1] == "AVG"
    assert {row["row"] for row in table["rows"]} == {
        "Result (test)", "f1 (test)", "spearman (test)",
    }  # fmt: skip
    assert table["rows"][0]["text"]["MNLI-m/mm"] == "70.2/70.3"
    assert {row["text"]["AVG"] for row in table["rows"]} == {""}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_scores_are_printed_with_the_last_zeros_that_papers_print(name):
    raw = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    table = paper_table(load(name))
    for system in raw["published"]:
        lines = [row for row in table.rows if system["row"] in (row.name, row.system)]
        texts = {part for row in lines for cell in row.cells for part in cell.text.split("/")}
        shown = {text.split(" (")[0] for text in texts}
        for task in set(system["results"]) & set(load(name).tasks):
            for text in system["results"][task].get("scores", {}).values():
                assert (text if "." in text else f"{text}.0") in shown, (system["row"], text)


@pytest.mark.slow
def test_what_a_warmup_above_1_means_is_said_once_and_only_where_there_is_one():
    for name in STUDIES:
        _, out = shown(name)
        notes = [line for line in out.splitlines() if line.startswith("* WARMUP above 1")]
        numbers = {
            result.settings.get("WARMUP", 0)
            for system in load(name).published
            for result in (system.results[t] for t in load(name).tasks if t in system.results)
            if not isinstance(result.settings.get("WARMUP"), dict)
        }
        assert len(notes) == any(number > 1 for number in numbers), name
    _, out = shown("amos-glue")
    said = "* WARMUP above 1 is the reciprocal of the ratio: 10 is 10 %, 16 is 6.25 %."
    assert said in out.splitlines()


def test_the_study_of_a_table_is_a_file_or_that_of_a_run(tmp_path):
    assert study_file(FOLDER / "amos-glue.yaml") == FOLDER / "amos-glue.yaml"
    write_study(tmp_path, name="s", tasks=[SQUAD2], model="scratch")
    assert study_file(tmp_path) == tmp_path / "study.yaml"
    (tmp_path / "empty").mkdir()
    for place, said in (
        (FOLDER, "no study.yaml in it; give one of its studies: albert-glue.yaml, amos-glue.yaml"),
        (tmp_path / "empty", "is a folder and no run: there is no study.yaml in it; a study"),
        (FOLDER / "amos-glue", f"no such file; did you mean '{FOLDER / 'amos-glue.yaml'}'?"),
    ):
        with pytest.raises(InputError) as caught:
            study_file(place)
        assert said in str(caught.value)
    assert study_file(tmp_path / "none.yaml") == tmp_path / "none.yaml"  # as reading it will say


def test_what_is_wrong_with_a_published_table_ends_with_2(tmp_path):
    for path, said in (
        (FOLDER / "quickstart.yaml", "nothing is published for its tasks"),
        (FOLDER / "gluonnlp-squad.yaml", "did you mean 'gluonnlp-squad2.yaml'"),
        (tmp_path, str(tmp_path)),
    ):
        done = CliRunner().invoke(app, ["table", str(path), "--published"])
        assert done.exit_code == 2
        assert said in done.output
    code, out = shown("bert-squad", "--format", "html")
    assert code == 2
    assert "csv, json, md, tex" in out


def test_a_run_is_compared_with_the_score_of_the_same_name(tmp_path):
    published = [
        {"row": "untuned", "source": "a", "results": {SQUAD2: {"scores": {"f1": 89.0}}}},
        {"row": "tuned", "source": "b", "results": {SQUAD2: {"scores": {"best_f1": 90.29}}}},
        {"row": "zero-shot", "source": "c", "results": {
            "xtreme/pawsx": {"scores": {"accuracy": 90.0, "mean.accuracy": 80.5}}}},
        {"row": "tested", "source": "d", "results": {
            "xtreme/pawsx": {"scores": {"test.accuracy": 95.0}}}},
    ]  # fmt: skip
    tasks = [SQUAD2, "xtreme/pawsx"]
    write_study(tmp_path, name="s", tasks=tasks, model="scratch", published=published)
    script = Script(tmp_path)
    script.trial(SQUAD2, {}, {"best_f1": 0.80, "f1": 0.79})
    script.trial("xtreme/pawsx", {}, {"accuracy": 0.91, "de.accuracy": 0.8, "mean.accuracy": 0.85})
    script.close()
    table = results.write_exports(tmp_path)
    lines = [(row.name, *(cell.text for cell in row.cells)) for row in table.rows]
    start = lines.index(("untuned (published)", "89.0 (f1)", "-"))
    assert lines[start:] == [
        ("untuned (published)", "89.0 (f1)", "-"),
        ("difference", "-10.0", "-"),
        ("tuned (published)", "90.29", "-"),
        ("difference", "-10.29", "-"),
        ("zero-shot (published)", "-", "90.0"),
        ("difference", "-", "+1.0"),
        ("zero-shot mean.accuracy (published)", "-", "80.5"),
        ("difference", "-", "+4.5"),
    ]


@pytest.mark.parametrize(
    ("score", "known"),
    [("mean.accuracy", True), ("test.sw.accuracy", True), ("xx.accuracy", False), ("f1", False)],
)
def test_scores_of_languages_and_their_mean_are_checked(score, known):
    published = [{"row": "A", "source": "a", "results": {"xtreme/xnli": {"scores": {score: 70}}}}]
    raw = {"tasks": "xtreme/xnli", "model": "scratch", "published": published}
    if known:
        assert study.parse(raw).published[0].results["xtreme/xnli"].scores == {score: 70}
        return
    with pytest.raises(InputError, match=re.escape(f"no score named '{score}'")):
        study.parse(raw)
