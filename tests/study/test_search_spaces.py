"""The shipped studies: each loads, agrees with the tables of tasks and hyperparameters, and holds
the numbers that its source prints. The cells below were copied from the sources a second time."""

import re
from functools import cache

import pytest
import yaml
from support.paths import ROOT

from raysearch import study
from raysearch.recipes.schedule import make_schedule
from raysearch.results.confirmation import expected_trials
from raysearch.search_space import count_points
from raysearch.tasks import TASKS, glue

FOLDER = ROOT / "search_spaces"
GRIDS_OF_GLUE = (
    "amos-glue",
    "cocolm-glue",
    "cocolm-large-glue",
    "bert-glue",
    "roberta-glue",
    "electra-glue",
    "albert-glue",
    "deberta-glue",
    "miniatures-glue",
    "modernbert-glue",
    "minilm-glue",
)
NAMES = (
    "quickstart",
    *GRIDS_OF_GLUE,
    "amos-squad2",
    "cocolm-squad2",
    "cocolm-large-squad2",
    "cross-thought-qqp",
    "cross-thought-pretrain",
    "stabletune-transfer",
    "stabletune-transfer-large",
    "stabletune-translate",
    "stabletune-translate-large",
    "gluonnlp-squad1",
    "gluonnlp-squad2",
    "bert-squad",
    "electra-squad",
    "roberta-race",
    "race-generic",
    "xlmr-xtreme-baseline",
    "mmbert-xnli",
    "superglue",
    "roberta-commonsense-qa",
    "lora-glue",
    "lora-deberta-glue",
)
GLUE = ("mnli", "qqp", "qnli", "sst2", "cola", "rte", "mrpc", "stsb")


@cache
def load(name):
    return study.load(FOLDER / f"{name}.yaml")


@pytest.fixture(params=NAMES)
def shipped(request):
    return load(request.param)


def row(name, of):
    """The published row of that name: task -> Result."""
    return next(p for p in load(of).published if p.row == name).results


def text(name):
    """The comments at the top of a study, as running text."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines)


def printed(result):
    """The first score of a result."""
    return next(iter(result.scores.values()))


def test_every_study_of_the_folder_is_tested():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)


def test_a_study_is_named_after_its_file_and_trains_known_tasks(shipped):
    assert shipped.name in NAMES
    assert all(TASKS[name].train for name in shipped.tasks)
    assert set(shipped.per_task) <= set(shipped.tasks)


def test_five_printed_seeds_are_chosen_on_others_for_fewer_trials_than_on_the_same(shipped):
    confirm = shipped.confirm
    if confirm.top > 1 and len(confirm.seeds) == 5:
        trials = expected_trials(confirm, confirm.top, published=False)
        assert (len(confirm.choose), trials) == (3, 14)


def test_every_task_has_something_to_search(shipped):
    for task in shipped.tasks:
        assert shipped.resolve(task).space
        assert 1 < shipped.resolve(task).planned_trials <= count_points(shipped.resolve(task).space)


def test_searches_confirm_over_fresh_seeds(shipped):
    if shipped.name == "cross-thought-pretrain":  # nobody pre-trains three times
        assert not shipped.confirm.seeds
        return
    assert len(shipped.confirm.seeds) >= 3
    assert shipped.search.seed not in (*shipped.confirm.choose, *shipped.confirm.seeds)
    assert shipped.confirm.top <= min(
        shipped.resolve(task).planned_trials for task in shipped.tasks
    )


@pytest.mark.slow
def test_a_dumped_study_loads_to_the_same_study(shipped):
    again = study.parse(yaml.safe_load(study.dump(shipped)))
    assert study.same_trials(again, shipped)
    assert again == shipped


def test_every_published_score_is_a_percentage_of_a_metric_of_its_task(shipped):
    for published in shipped.published:
        for name, result in published.results.items():
            task = TASKS[name]
            places = {"", *(f"{split.name}." for split in task.dev[1:])}
            places |= {"mean."} if task.languages else set()
            dev = {place + metric for place in places for metric in task.metrics}
            known = dev | {f"test.{score}" for score in dev}
            assert set(result.scores) <= known, (published.row, name)
            assert all(0 <= value <= 100 for value in result.scores.values())
            assert result.scores or result.settings


def test_every_published_setting_is_a_valid_configuration(shipped):
    for published in shipped.published:
        assert published.source
        for name, result in published.results.items():
            hyper = shipped.resolve(name).hyperparameters(result.settings)
            assert make_schedule(hyper, 10_000).steps > 0


def test_no_row_is_published_twice(shipped):
    rows = [published.row for published in shipped.published]
    assert len(set(rows)) == len(rows)


def test_a_search_that_starts_from_what_is_published_has_a_start_for_every_task(shipped):
    starts = {task: shipped.resolve(task).initial_points for task in shipped.tasks}
    if shipped.search.start_from == "published":
        assert all(starts.values()), starts
    else:
        listed = len(shipped.search.start_from)
        assert all(len(found) == listed for found in starts.values()), starts


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in NAMES
        if n not in ("quickstart", "miniatures-glue", "minilm-glue", "mmbert-xnli")
        if not n.startswith("cross-thought")  # one setting is published, of what is searched
    ],
)
def test_studies_with_published_settings_start_from_them(name):
    assert load(name).search.start_from == "published"


@pytest.mark.parametrize("name", NAMES)
def test_a_study_says_how_to_run_it_and_where_it_comes_from(name):
    words = text(name)
    assert f"raysearch run search_spaces/{name}.yaml" in words
    assert name == "quickstart" or "Source: " in words
    assert name == "quickstart" or re.search(r"[Nn]ot (published|imitated)", words)


def test_every_grid_of_glue_covers_the_tasks_that_papers_average():
    for name in GRIDS_OF_GLUE[:-1]:
        assert load(name).tasks == glue.AVERAGED
    # MiniLM prints nothing for STS-B
    assert set(load("minilm-glue").tasks) == set(glue.AVERAGED) - {"glue/stsb"}


# AMOS ------------------------------------------------------------------------------------------

# microsoft/AMOS, fairseq/README.md and run_glue.sh: BSZ, LR, EPOCH, WARMUP, result; then the
# script's total updates, warmup updates and updates between validations.
AMOS = {
    "mnli": (32, 1e-5, 3, 16, 90.5, 37356, 2334, 6226),
    "qqp": (32, 2e-5, 5, 16, 92.3, 56960, 3560, 5696),
    "qnli": (32, 2e-5, 3, 16, 94.5, 9960, 622, 1660),
    "sst2": (32, 1e-5, 5, 16, 95.6, 10525, 657, 1052),
    "cola": (32, 2e-5, 10, 10, 71.8, 2680, 268, 134),
    "rte": (32, 4e-5, 5, 10, 87.4, 505, 50, 50),
    "mrpc": (32, 4e-5, 10, 16, 91.4, 1150, 71, 57),
    "stsb": (16, 4e-5, 10, 16, 92.0, 3600, 225, 180),
}
ROWS = {  # training examples, which must not matter where the script counts its own epochs
    "mnli": 392702, "qqp": 363846, "qnli": 104743, "sst2": 67349,
    "cola": 8551, "rte": 2490, "mrpc": 3668, "stsb": 5749,
}  # fmt: skip


@pytest.mark.parametrize("task", GLUE)
def test_amos_trains_as_many_steps_as_its_script(task):
    amos = load("amos-glue")
    result = row("AMOS base++", "amos-glue")[f"glue/{task}"]
    bsz, lr, epoch, warmup, score, steps, warm, every = AMOS[task]
    assert result.settings == {"BSZ": bsz, "LR": lr, "EPOCH": epoch, "WARMUP": warmup}
    assert printed(result) == score
    made = make_schedule(amos.resolve(f"glue/{task}").hyperparameters(result.settings), ROWS[task])
    assert (made.steps, made.warmup, made.evaluations[0]) == (steps, warm, every)
    assert set(made.evaluations) == {*range(every, steps + 1, every), steps}


def test_amos_chose_another_epoch_for_mismatched_mnli():
    amos = load("amos-glue")
    result = row("AMOS base++, best for MNLI-mm", "amos-glue")["glue/mnli"]
    assert result.settings == {"BSZ": 32, "LR": 1e-5, "EPOCH": 2, "WARMUP": 16}
    assert result.scores == {"mismatched.accuracy": 90.4}
    made = make_schedule(amos.resolve("glue/mnli").hyperparameters(result.settings), ROWS["mnli"])
    assert (made.steps, made.warmup, made.evaluations[0]) == (24904, 1556, 6226)
    assert amos.resolve("glue/mnli").initial_points[:2] == [
        {"LR": 1e-5, "EPOCH": 3},
        {"LR": 1e-5, "EPOCH": 2},
    ]


@pytest.mark.parametrize("bsz", [16, 32])
def test_amos_counts_an_epoch_of_rte_as_its_script(bsz):
    amos = load("amos-glue")
    made = make_schedule(
        amos.resolve("glue/rte").hyperparameters({"BSZ": bsz, "EPOCH": 2, "WARMUP": 10}),
        ROWS["rte"],
    )
    assert made.per_epoch == {16: 202, 32: 101}[bsz]


def test_amos_trains_with_the_semantics_of_fairseq():
    hyper = load("amos-glue").resolve("glue/stsb").shared
    assert (hyper.decay_exclude, hyper.weight_decay, hyper.clip) == ((), 0.01, None)
    assert (hyper.adam_betas, hyper.adam_eps, hyper.adam_eps_on) == ((0.9, 0.98), 1e-6, "raw")
    assert (hyper.precision, hyper.fp16_scale, hyper.fp16_window) == ("fp16", 4, 128)
    assert (hyper.label_scale, hyper.max_length) == (5, 512)
    assert load("amos-glue").resolve("glue/rte").shared.label_scale == 1


def test_the_space_of_amos_spans_what_is_published_and_says_that_the_grid_is_recalled():
    assert "the grid itself. It is only recalled, so it does not stand here" in text("amos-glue")
    amos = load("amos-glue")
    for task in amos.tasks:
        space = amos.resolve(task).space
        settings = [p.results[task].settings for p in amos.published if task in p.results]
        settings = [one for one in settings if one]
        assert len(amos.resolve(task).initial_points) == len(
            {tuple(s[n] for n in space) for s in settings}
        )
    for large in ("mnli", "qqp", "qnli", "sst2"):
        space = amos.resolve(f"glue/{large}").space
        assert set(space) == {"LR", "EPOCH"}
        # 4e-5 is only recalled for these tasks, 10 epochs are what the script refuses
        assert space["LR"].choice == (1e-5, 2e-5, 3e-5)
        assert space["EPOCH"].choice == (2, 3, 5)
        hyper = amos.resolve(f"glue/{large}").shared
        assert (hyper.BSZ, hyper.WARMUP) == (32, 16)


def test_amos_publishes_medians_too():
    medians = row("AMOS base++, median of 5", "amos-glue")
    assert [printed(medians[f"glue/{t}"]) for t in GLUE] == [
        90.5, 92.4, 94.4, 95.5, 71.8, 86.6, 91.7, 92.0,
    ]  # fmt: skip
    assert medians["glue/mnli"].scores["mismatched.accuracy"] == 90.4
    test = row("AMOS base++, test", "amos-glue")
    assert [printed(test[f"glue/{t}"]) for t in GLUE] == [
        90.4, 90.2, 94.6, 96.8, 69.2, 83.6, 88.9, 91.3,
    ]  # fmt: skip


def test_amos_trains_squad_as_many_steps_as_its_script():
    amos = load("amos-squad2")
    for name, warmup, scores in (("EM", 1540, {"best_exact": 85.0}),
                                 ("F1", 2465, {"best_f1": 87.9})):  # fmt: skip
        result = row(f"AMOS base++, best {name}", "amos-squad2")["squad/v2.0"]
        made = make_schedule(amos.resolve("squad/v2.0").hyperparameters(result.settings), 131_999)
        assert (made.steps, made.warmup, made.evaluations[0]) == (24654, warmup, 4109)
        assert result.scores == scores
    hyper = amos.resolve("squad/v2.0").shared
    assert (hyper.max_length, hyper.doc_stride, hyper.query_length) == (385, 128, 64)
    assert (hyper.span_head, hyper.span_over, hyper.n_best) == ("plain", "context", 20)


# microsoft/COCO-LM, fairseq/README.md: BSZ, LR, EPOCH, WARMUP and the result of each task.
COCOLM = {
    "cocolm-glue": (
        "COCO-LM base++",
        (32, 32, 32, 32, 16, 16, 16, 16),
        (2e-5, 3e-5, 1e-5, 2e-5, 2e-5, 2e-5, 4e-5, 4e-5),
        (2, 5, 5, 5, 10, 10, 10, 10),
        (16, 16, 16, 16, 16, 10, 16, 16),
        (90.2, 92.2, 94.2, 94.6, 67.3, 87.4, 91.2, 91.8),
    ),
    "cocolm-large-glue": (
        "COCO-LM large++",
        (32, 32, 32, 32, 16, 32, 16, 16),
        (5e-6, 1e-5, 7e-6, 5e-6, 1e-5, 2e-5, 2e-5, 2e-5),
        (3, 5, 2, 2, 10, 5, 5, 10),
        (16, 16, 16, 16, 10, 16, 16, 16),
        (91.4, 92.8, 95.7, 96.9, 73.9, 91.0, 92.2, 92.7),
    ),
}


@pytest.mark.parametrize("name", COCOLM)
def test_cocolm_publishes_its_settings_and_trains_as_amos_does(name):
    published, *settings, scores = COCOLM[name]
    results = row(published, name)
    found = [list(results[f"glue/{task}"].settings.values()) for task in GLUE]
    assert found == [list(one) for one in zip(*settings, strict=True)]
    assert tuple(printed(results[f"glue/{task}"]) for task in GLUE) == scores
    for task in GLUE:
        theirs, ours = (load(n).resolve(f"glue/{task}").shared for n in ("amos-glue", name))
        assert theirs == ours
        assert (
            results[f"glue/{task}"].settings["LR"] in load(name).resolve(f"glue/{task}").space["LR"]
        )


def test_cocolm_publishes_squad_too():
    base = row("COCO-LM base++", "cocolm-squad2")["squad/v2.0"]
    assert base.settings == {"BSZ": 32, "LR": 2e-5, "EPOCH": 3, "WARMUP": 10}
    assert base.scores == {"best_f1": 88.1, "best_exact": 85.4}
    large = row("COCO-LM large++, best EM", "cocolm-large-squad2")["squad/v2.0"]
    assert large.settings == {"BSZ": 32, "LR": 2e-5, "EPOCH": 2, "WARMUP": 16}
    assert large.scores == {"best_exact": 88.3}


# microsoft/COCO-LM, huggingface/README.md, its optimal settings: BSZ, LR, EPOCH, WARMUP and the
# result of each task; of MNLI the matched set, and what is best for the mismatched one.
HUGGING_FACE = {
    "cocolm-glue": (
        "COCO-LM base++, Hugging Face",
        (32, 32, 32, 32, 16, 16, 16, 16),
        (1e-5, 2e-5, 1e-5, 1e-5, 2e-5, 3e-5, 2e-5, 4e-5),
        (2, 5, 5, 5, 10, 10, 10, 10),
        (0.0625, 0.0625, 0.0625, 0.0625, 0.1, 0.1, 0.1, 0.1),
        (90.1, 92.3, 94.2, 95.1, 69.9, 87.4, 90.9, 91.8),
    ),
    "cocolm-large-glue": (
        "COCO-LM large++, Hugging Face",
        (32, 32, 32, 32, 32, 32, 16, 16),
        (5e-6, 2e-5, 5e-6, 1e-5, 2e-5, 3e-5, 2e-5, 2e-5),
        (2, 5, 2, 5, 10, 10, 10, 10),
        (0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.1, 0.1, 0.1),
        (91.3, 92.8, 95.8, 96.8, 73.1, 91.3, 91.9, 92.8),
    ),
}


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_cocolm_publishes_what_its_hugging_face_readme_prints(name):
    published, *settings, warmups, scores = HUGGING_FACE[name]
    results = row(published, name)
    found = [list(results[f"glue/{task}"].settings.values()) for task in GLUE]
    settings.append([round(1 / ratio) for ratio in warmups])
    assert found == [list(one) for one in zip(*settings, strict=True)]
    assert tuple(printed(results[f"glue/{task}"]) for task in GLUE) == scores


def test_cocolm_mismatched_results_stand_beside_their_own_learning_rates():
    base = row("COCO-LM base++, Hugging Face, best for MNLI-mm", "cocolm-glue")["glue/mnli"]
    assert base.settings == {"BSZ": 32, "LR": 2e-5, "EPOCH": 2, "WARMUP": 16}
    assert base.scores == {"mismatched.accuracy": 90.0}
    large = row("COCO-LM large++, Hugging Face", "cocolm-large-glue")["glue/mnli"]
    assert large.scores == {"accuracy": 91.3, "mismatched.accuracy": 91.6}  # 5e-6 for both


# Cross-Thought ---------------------------------------------------------------------------------


def test_cross_thought_is_pre_trained_with_fairseqs_own_loss_scale():
    """Its command says --fp16 and --update-freq 16; fairseq v0.10: --fp16-init-scale is 2^7, and
    the window 2^14 / devices / update_freq."""
    task = load("cross-thought-pretrain").tasks[0]
    hyper = load("cross-thought-pretrain").resolve(task).shared
    assert (hyper.precision, hyper.fp16_scale, hyper.fp16_window) == ("fp16", 2**7, 2**14 // 16)
    hyper = load("cross-thought-qqp").resolve("glue/qqp").shared  # told on its command line
    assert (hyper.fp16_scale, hyper.fp16_window) == (4, 128)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_deviations_are_a_field_and_no_comment(path):
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    words = ("Deviation", "Not imitated", "Mended here")
    assert not [line for line in comments if any(word in line for word in words)]
    assert all(text[0].isupper() and text.endswith(".") for text in load(path.stem).deviations)


def test_every_study_of_questions_tells_how_its_answers_differ_from_the_source():
    for path in FOLDER.glob("*.yaml"):
        texts = load(path.stem).deviations
        told = any(text.startswith("A number that no tokens spell") for text in texts)
        if path.stem.startswith("gluonnlp"):  # whose rules these are
            assert not told
        elif "doc_stride" in path.read_text():
            assert told, path


def test_cross_thought_trains_qqp_as_its_readme():
    study = load("cross-thought-qqp")
    hyper = study.resolve("glue/qqp").hyperparameters(study.resolve("glue/qqp").initial_points[0])
    made = make_schedule(hyper, ROWS["qqp"])
    assert (made.steps, made.warmup, len(made.evaluations)) == (113272, 28318, 10)
    assert (hyper.BSZ, hyper.LR, hyper.weight_decay, hyper.dropout) == (32, 1e-5, 0.1, 0)
    assert (hyper.positions, hyper.fusion) == ("released", "mean")


def test_cross_thought_pretrains_as_its_readme():
    study = load("cross-thought-pretrain")
    hyper = study.resolve("text/lines").hyperparameters(
        study.resolve("text/lines").initial_points[0]
    )
    assert (hyper.slots, hyper.block, hyper.length, hyper.mask_share) == (5, 500, 64, 0.15)
    made = make_schedule(hyper, 1_000_000)
    assert (made.steps, made.warmup, hyper.LR, hyper.BSZ) == (125_000, 10_000, 5e-4, 16)


# BERT ------------------------------------------------------------------------------------------


def test_bert_searches_the_grids_of_its_paper_with_the_optimizer_of_its_code():
    bert = load("bert-glue")
    choices = {name: dimension.choice for name, dimension in bert.space.items()}
    assert choices == {"BSZ": (16, 32), "LR": (2e-5, 3e-5, 4e-5, 5e-5), "EPOCH": (2, 3, 4)}
    hyper = bert.resolve("glue/mrpc").shared
    assert (hyper.bias_correction, hyper.schedule, hyper.WARMUP) == (False, "bert", 0.1)
    assert (hyper.weight_decay, hyper.adam_eps, hyper.clip) == (0.01, 1e-6, 1.0)
    assert bert.search.select == "last"


def test_bert_publishes_what_others_measured_on_dev():
    assert row("BERT base, Google's example", "bert-glue")["glue/mrpc"].scores["accuracy"] == 84.55
    cased = row("BERT base cased, transformers", "bert-glue")
    assert cased["glue/mrpc"].settings["EPOCH"] == 5
    assert cased["glue/mrpc"].scores == {"accuracy": 84.07, "f1": 88.85}
    assert cased["glue/stsb"].scores == {"pearson": 88.64, "spearman": 88.48}
    assert cased["glue/mnli"].scores == {"accuracy": 83.91, "mismatched.accuracy": 84.10}


# RoBERTa ---------------------------------------------------------------------------------------

# fairseq, examples/roberta/README.glue.md: BSZ, LR, total-num-update, warmup-updates; dev of large.
ROBERTA = {
    "mnli": (32, 1e-5, 123873, 7432, 90.2),
    "qnli": (32, 1e-5, 33112, 1986, 94.7),
    "qqp": (32, 1e-5, 113272, 28318, 92.2),
    "rte": (16, 2e-5, 2036, 122, 86.6),
    "sst2": (32, 1e-5, 20935, 1256, 96.4),
    "mrpc": (16, 1e-5, 2296, 137, 90.9),
    "cola": (16, 1e-5, 5336, 320, 68.0),
    "stsb": (16, 2e-5, 3598, 214, 92.4),
}


@pytest.mark.parametrize("task", GLUE)
def test_roberta_publishes_the_steps_of_fairseqs_readme(task):
    roberta = load("roberta-glue")
    result = row("RoBERTa large", "roberta-glue")[f"glue/{task}"]
    bsz, lr, steps, warm, score = ROBERTA[task]
    assert (result.settings["BSZ"], result.settings["LR"], printed(result)) == (bsz, lr, score)
    made = make_schedule(
        roberta.resolve(f"glue/{task}").hyperparameters(result.settings), ROWS[task]
    )
    assert (made.steps, made.warmup) == (steps, warm)
    assert {"BSZ": bsz, "LR": lr} in roberta.resolve(f"glue/{task}").initial_points


def test_roberta_searches_table_10_with_the_semantics_of_fairseq():
    roberta = load("roberta-glue")
    choices = {name: dimension.choice for name, dimension in roberta.space.items()}
    assert choices == {"BSZ": (16, 32), "LR": (1e-5, 2e-5, 3e-5)}
    hyper = roberta.resolve("glue/stsb").shared
    assert (hyper.EPOCH, hyper.WARMUP, hyper.weight_decay, hyper.clip) == (10, 0.06, 0.1, None)
    assert (hyper.decay_exclude, hyper.label_scale) == ((), 5)
    base = row("RoBERTa base", "roberta-glue")
    assert (printed(base["glue/rte"]), printed(base["glue/cola"])) == (78.7, 63.6)


# ELECTRA ---------------------------------------------------------------------------------------


def test_electra_trains_with_its_own_schedule_and_layers():
    electra = load("electra-glue")
    choices = {name: dimension.choice for name, dimension in electra.space.items()}
    assert choices == {"LR": (3e-5, 5e-5, 1e-4, 1.5e-4), "layerwise_decay": (0.8, 0.9)}
    hyper = electra.resolve("glue/stsb").hyperparameters({"LR": 1e-4, "layerwise_decay": 0.8})
    assert (hyper.schedule, hyper.bias_correction, hyper.layerwise_offset) == ("electra", False, 2)
    assert (hyper.weight_decay, hyper.label_scale) == (0, 5)
    # its loss is a sum over the batch: the gradient of the mean is smaller by BSZ
    assert (hyper.adam_eps, hyper.clip) == (1e-6 / hyper.BSZ, 1 / hyper.BSZ)
    epochs = [electra.resolve(f"glue/{task}").shared.EPOCH for task in GLUE]
    assert epochs == [3, 3, 3, 3, 3, 10, 3, 10]
    assert "Only recalled" in text("electra-glue")


@pytest.mark.parametrize(
    ("name", "lr", "decay", "scores"),
    [
        ("ELECTRA small", 3e-4, 0.8, (81.3, 89.0, 88.4, 91.2, 57.0, 66.7, 88.0, 87.5)),
        ("ELECTRA base", 1e-4, 0.8, (88.8, 91.5, 93.2, 95.1, 67.7, 82.7, 89.5, 91.2)),
        ("ELECTRA large", 5e-5, 0.9, (90.9, 92.4, 95.0, 96.9, 69.1, 88.0, 90.8, 92.6)),
    ],
)
def test_electra_publishes_its_settings_and_medians(name, lr, decay, scores):
    results = row(name, "electra-glue")
    assert tuple(printed(results[f"glue/{task}"]) for task in GLUE) == scores
    chosen = {(r.settings["LR"], r.settings["layerwise_decay"]) for r in results.values()}
    assert chosen == {(lr, decay)}
    assert "spearman" in results["glue/stsb"].scores


# ALBERT ----------------------------------------------------------------------------------------

# Lan et al. (2020), Table 14: LR, BSZ, dropout in the encoder, steps, warmup; dev at 1.5M steps.
ALBERT = {
    "cola": (1e-5, 16, 0, 5336, 320, 71.4),
    "stsb": (2e-5, 16, 0, 3598, 214, 93.0),
    "sst2": (1e-5, 32, 0, 20935, 1256, 96.9),
    "mnli": (3e-5, 128, 0, 10000, 1000, 90.8),
    "qnli": (1e-5, 32, 0, 33112, 1986, 95.3),
    "qqp": (5e-5, 128, 0.1, 14000, 1000, 92.2),
    "rte": (3e-5, 32, 0.1, 800, 200, 89.2),
    "mrpc": (2e-5, 32, 0, 800, 200, 90.9),
}


@pytest.mark.parametrize("task", GLUE)
def test_albert_starts_from_its_table(task):
    albert, name = load("albert-glue"), f"glue/{task}"
    lr, bsz, dropout, steps, warm, score = ALBERT[task]
    assert albert.resolve(name).initial_points == [
        {"LR": lr, "dropout": dropout, "attention_dropout": dropout}
    ]
    hyper = albert.resolve(name).hyperparameters(albert.resolve(name).initial_points[0])
    made = make_schedule(hyper, ROWS[task])
    assert (hyper.BSZ, made.steps, made.warmup) == (bsz, steps, warm)
    assert [hyper.dropout, hyper.attention_dropout] == [dropout, dropout]
    assert hyper.classifier_dropout == 0.1
    result = row("ALBERT xxlarge, 1.5M steps", "albert-glue")[name]
    assert printed(result) == score
    # what the row says is what the study fixes for the task
    assert albert.resolve(name).hyperparameters(result.settings) == hyper


# DeBERTa ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "task", "bsz", "lr", "epoch", "warmup", "dropout", "scores"),
    [
        ("DeBERTa base", "mnli", 64, 3e-5, 3, 1000, 0.1, (88.8, 88.5)),
        ("DeBERTa base", "rte", 32, 2e-5, 6, 100, 0.2, ()),
        ("DeBERTa base", "qqp", 64, 2e-5, 8, 500, 0.15, ()),
        ("DeBERTa large", "cola", 32, 7e-6, 6, 100, 0.15, (69.5,)),
        ("DeBERTa large", "rte", 32, 1e-5, 6, 50, 0.2, (91.0,)),
        ("DeBERTa xlarge", "mrpc", 32, 7e-6, 8, 50, 0.3, (92.1, 94.3)),
        ("DeBERTa v2 xlarge", "mnli", 64, 4e-6, 3, 1000, 0.25, (91.7, 91.6)),
        ("DeBERTa v2 xxlarge", "cola", 32, 2.5e-6, 10, 100, 0.2, (72.0,)),
        ("DeBERTa v3 large", "stsb", 32, 7e-6, 4, 50, 0.1, (93.0,)),
        ("DeBERTa v3 large", "qnli", 64, 7e-6, 6, 200, 0.2, (96.0,)),
        ("DeBERTa v3 small", "mnli", 64, 4.5e-5, 3, 1500, 0.2, (88.3, 87.7)),
    ],
)
def test_deberta_publishes_its_released_recipes(
    name, task, bsz, lr, epoch, warmup, dropout, scores
):
    result = row(name, "deberta-glue")[f"glue/{task}"]
    assert result.settings == {
        "BSZ": bsz,
        "LR": lr,
        "EPOCH": epoch,
        "WARMUP": {"steps": warmup},
        "classifier_dropout": dropout,
    }
    assert tuple(result.scores.values()) == scores


def test_deberta_searches_table_9_and_cuts_texts_per_task():
    deberta = load("deberta-glue")
    assert deberta.space["LR"].choice == (1.5e-5, 2e-5, 3e-5, 4e-5)
    assert [c["steps"] for c in deberta.space["WARMUP"].choice] == [50, 100, 500, 1000]
    assert deberta.space["classifier_dropout"].choice == (0, 0.1, 0.15, 0.2)
    lengths = [deberta.resolve(f"glue/{task}").shared.max_length for task in GLUE]
    assert lengths == [256, 320, 512, 128, 64, 320, 128, 128]
    hyper = deberta.resolve("glue/rte").hyperparameters(
        deberta.resolve("glue/rte").initial_points[0]
    )
    assert (hyper.schedule, hyper.bias_correction, hyper.fp16_scale) == ("bert", False, 16384)
    assert make_schedule(hyper, ROWS["rte"]).warmup == 100
    assert deberta.confirm.report == "mean"


# BERT miniatures and MiniLM --------------------------------------------------------------------


def test_miniatures_search_the_20_cells_of_their_readme():
    small = load("miniatures-glue")
    assert set(small.space["BSZ"].choice) == {8, 16, 32, 64, 128}
    assert set(small.space["LR"].choice) == {3e-4, 1e-4, 5e-5, 3e-5}
    assert [small.resolve(task).planned_trials for task in small.tasks] == [20] * 8
    assert small.fixed["EPOCH"] == 4


def test_miniatures_publish_test_scores_which_no_dev_score_is_compared_with():
    small = load("miniatures-glue")
    assert [p.model.rsplit("/")[-1] for p in small.published] == [
        "bert_uncased_L-2_H-128_A-2",
        "bert_uncased_L-4_H-256_A-4",
        "bert_uncased_L-4_H-512_A-8",
        "bert_uncased_L-8_H-512_A-8",
    ]
    for published in small.published:
        assert "test" in published.source
        scores = [name for result in published.results.values() for name in result.scores]
        assert all(name.startswith("test.") for name in scores)
    tiny, medium = row("BERT tiny", "miniatures-glue"), row("BERT medium", "miniatures-glue")
    assert tiny["glue/cola"].scores == {"test.mcc": 0.0}
    assert tiny["glue/mrpc"].scores == {"test.f1": 81.1, "test.accuracy": 71.1}
    assert tiny["glue/mnli"].scores == {"test.accuracy": 70.2, "test.mismatched.accuracy": 70.3}
    assert medium["glue/stsb"].scores == {"test.pearson": 80.4, "test.spearman": 78.4}
    assert medium["glue/ax"].scores == {"test.mcc": 30.5}


def test_minilm_searches_the_grid_of_its_appendix():
    minilm = load("minilm-glue")
    choices = {name: dimension.choice for name, dimension in minilm.space.items()}
    ours = 1e-4
    assert choices["LR"] == (2e-5, 3e-5, 4e-5, 5e-5, ours)
    assert (choices["BSZ"], choices["EPOCH"]) == ((32, 48), (3, 4, 5))
    assert minilm.fixed["max_length"] == 128
    twelve, six = row("MiniLM-L12-H384", "minilm-glue"), row("MiniLM-L6-H384", "minilm-glue")
    assert [printed(r) for r in twelve.values()] == [85.7, 91.3, 91.5, 93.0, 58.5, 73.3, 89.5]
    assert [printed(r) for r in six.values()] == [83.3, 90.6, 90.5, 91.5, 47.5, 68.8, 88.9]


def test_quickstart_needs_no_files():
    first = load("quickstart")
    assert (first.tasks, first.model) == (("toy/grammar",), "scratch")
    assert not first.published


# ModernBERT and mmBERT -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "scores"),
    [
        (
            "ModernBERT base",
            {"mnli": (5e-5, 5e-6, 1), "qqp": (5e-5, 5e-6, 10), "qnli": (8e-5, 5e-6, 2),
             "sst2": (8e-5, 1e-5, 2), "cola": (8e-5, 1e-6, 5), "rte": (5e-5, 1e-5, 3),
             "mrpc": (5e-5, 5e-6, 10), "stsb": (8e-5, 5e-6, 10)},
            (89.1, 92.1, 93.9, 96.0, 65.1, 87.4, 92.2, 91.8),
        ),
        (
            "ModernBERT large",
            {"mnli": (3e-5, 1e-5, 1), "qqp": (5e-5, 8e-6, 2), "qnli": (3e-5, 5e-6, 2),
             "sst2": (1e-5, 1e-6, 3), "cola": (3e-5, 8e-6, 5), "rte": (5e-5, 8e-6, 3),
             "mrpc": (8e-5, 5e-6, 2), "stsb": (8e-5, 1e-5, 10)},
            (90.8, 92.7, 95.2, 97.1, 71.4, 92.1, 91.7, 92.8),
        ),
    ],
)  # fmt: skip
def test_modernbert_publishes_a_setting_of_the_grid_for_each_task(name, settings, scores):
    modern, results = load("modernbert-glue"), row(name, "modernbert-glue")
    assert tuple(printed(results[f"glue/{task}"]) for task in GLUE) == scores
    for task, (rate, decay, epochs) in settings.items():
        setting = results[f"glue/{task}"].settings
        point = {"LR": rate, "weight_decay": decay, "EPOCH": epochs}
        assert setting == {"BSZ": 64, **point}
        assert point in [dict(p) for p in modern.resolve(f"glue/{task}").initial_points]


def test_modernbert_decays_as_composer_does():
    hyper = load("modernbert-glue").resolve("glue/mnli").shared
    assert (hyper.decay_times, hyper.decay_exclude, hyper.adam_betas) == ("share", (), (0.9, 0.98))
    assert (hyper.BSZ, hyper.WARMUP, hyper.max_length) == (64, 0.1, 256)
    assert any("MNLI" in deviation for deviation in load("modernbert-glue").deviations)


def test_modernbert_starts_its_small_pair_tasks_from_mnli():
    modern = load("modernbert-glue")
    sources = {name: modern.resolve(name).source for name in modern.tasks}
    assert {name: source.name for name, source in sources.items() if source} == dict.fromkeys(
        ("glue/rte", "glue/mrpc", "glue/stsb"), "glue/mnli"
    )


def test_mmbert_has_the_means_of_its_table():
    for name, scores in (
        ("mmBERT base", (77.1, 87.7)),
        ("mmBERT small", (73.6, 86.7)),
        ("XLM-R base, mmBERT's sweep", (74.6, 85.9)),
    ):
        results = row(name, "mmbert-xnli")
        assert tuple(printed(results[task]) for task in ("xtreme/xnli", "xtreme/pawsx")) == scores
    assert "transcribe" in text("mmbert-xnli")


def test_mbert_and_xlmr_have_the_means_of_xtremes_table():
    tasks = [f"xtreme/{task}" for task in ("xnli", "pawsx", "panx", "xquad", "mlqa", "tydiqa")]
    for name, scores in (
        ("mBERT, XTREME's table", (65.4, 81.9, 62.2, 64.5, 61.4, 59.7)),
        ("XLM-R large, XTREME's table", (79.2, 86.4, 65.4, 76.6, 71.6, 65.1)),
    ):
        results = row(name, "xlmr-xtreme-baseline")
        assert tuple(printed(results[task]) for task in tasks) == scores
        assert all("test.mean." in next(iter(results[task].scores)) for task in tasks)


# SuperGLUE and CommonsenseQA -------------------------------------------------------------------


def test_superglue_has_the_scores_of_both_readmes():
    bert, roberta = row("BERT large, test", "superglue"), row("RoBERTa large", "superglue")
    scores = {name.removeprefix("superglue/"): [*r.scores.values()] for name, r in bert.items()}
    assert scores == {
        "boolq": [77.4], "cb": [83.6, 75.7], "copa": [70.6], "multirc": [70.0, 24.1],
        "record": [72.0, 71.3], "rte": [71.7], "wic": [69.6], "wsc": [64.4],
    }  # fmt: skip
    dev = {name.removeprefix("superglue/"): printed(result) for name, result in roberta.items()}
    assert dev == {
        "boolq": 86.9, "cb": 98.2, "copa": 94.0, "multirc": 85.7, "rte": 89.5, "wic": 75.6,
    }  # fmt: skip


def test_superglue_begins_with_jiants_setting():
    for task in load("superglue").tasks:
        batch = 8 if task == "superglue/record" else 4
        (point,) = load("superglue").resolve(task).initial_points
        assert {"BSZ": batch, "LR": 1e-5} == dict(point)
    assert load("superglue").resolve("superglue/copa").shared.segments == "passage_first"


def test_commonsense_qa_has_fairseqs_grid_and_its_command():
    study_ = load("roberta-commonsense-qa").resolve("csqa/rand")
    choices = {name: dimension.choice for name, dimension in study_.space.items()}
    assert choices == {
        "BSZ": (8, 16),
        "LR": (1e-5, 2e-5, 3e-5),
        "EPOCH": ({"steps": 2000}, {"steps": 3000}, {"steps": 4000}),
    }
    result = row("RoBERTa large, fairseq's README", "roberta-commonsense-qa")["csqa/rand"]
    made = make_schedule(study_.hyperparameters(result.settings), 9741)
    assert (made.steps, made.warmup, printed(result)) == (3000, 150, 78.46)
    assert study_.shared.segments == "one_separator"


# LoRA -------------------------------------------------------------------------------------------

# Its scripts: batch per GPU, GPUs, LR, epochs; and the scores of its README.
LORA_ROBERTA = {
    "mnli": (16, 8, 5e-4, 30, 87.5),
    "qqp": (16, 8, 5e-4, 25, 90.8),
    "qnli": (32, 8, 4e-4, 25, 93.3),
    "sst2": (16, 8, 5e-4, 60, 95.1),
    "cola": (32, 2, 4e-4, 80, 63.4),
    "rte": (32, 8, 5e-4, 80, 86.6),
    "mrpc": (16, 8, 4e-4, 30, 89.7),
    "stsb": (16, 8, 4e-4, 40, 91.5),
}
# Batch per GPU, of 8; LR, epochs, warmup, decay, dropout before the head, length; and the scores.
LORA_DEBERTA = {
    "mnli": (8, 1e-4, 5, 1000, 0, 0.15, 256, 91.9),
    "qqp": (8, 1e-4, 11, 10000, 0.01, 0.2, 320, 92.9),
    "qnli": (6, 1e-4, 8, 500, 0.01, 0.1, 512, 96.0),
    "sst2": (8, 6e-5, 16, 1000, 0.01, 0, 128, 96.9),
    "cola": (4, 1.3e-4, 10, 100, 0, 0.1, 64, 72.4),
    "rte": (4, 2.6e-4, 11, 50, 0.01, 0.2, 320, 94.9),
    "mrpc": (32, 2e-4, 30, 0.1, 0.01, 0, 128, 92.6),
    "stsb": (4, 2e-4, 10, 100, 0.1, 0.2, 128, 93.0),
}


@pytest.mark.parametrize("task", GLUE)
def test_loras_roberta_is_trained_as_its_scripts_say(task):
    batch, gpus, lr, epochs, score = LORA_ROBERTA[task]
    resolved = load("lora-glue").resolve(f"glue/{task}")
    result = row("RoBERTa base, LoRA", "lora-glue")[f"glue/{task}"]
    assert result.settings == {"BSZ": batch * gpus, "LR": lr, "EPOCH": epochs}
    assert printed(result) == score
    assert {"BSZ": batch * gpus, "LR": lr} in resolved.initial_points
    hyper = resolved.shared
    assert (hyper.EPOCH, hyper.WARMUP, hyper.weight_decay) == (epochs, 0.06, 0.1)
    assert (hyper.lora_rank, hyper.lora_alpha, hyper.lora_targets) == (8, 16, ("query", "value"))
    assert (hyper.max_length, hyper.lora_dropout, hyper.adam_betas) == (512, 0, (0.9, 0.999))


@pytest.mark.parametrize("task", GLUE)
def test_loras_deberta_is_trained_as_its_scripts_say(task):
    batch, lr, epochs, warmup, decay, dropout, length, score = LORA_DEBERTA[task]
    resolved = load("lora-deberta-glue").resolve(f"glue/{task}")
    result = row("DeBERTa v2 xxlarge, LoRA", "lora-deberta-glue")[f"glue/{task}"]
    assert (result.settings, printed(result)) == ({"LR": lr}, score)
    assert resolved.initial_points[0] == {"LR": lr}
    hyper = resolved.shared
    assert (hyper.BSZ, hyper.EPOCH, hyper.weight_decay) == (8 * batch, epochs, decay)
    assert getattr(hyper.WARMUP, "steps", hyper.WARMUP) == warmup
    assert (hyper.classifier_dropout, hyper.max_length) == (dropout, length)
    assert (hyper.lora_rank, hyper.lora_alpha, hyper.precision) == (16, 32, "fp16")
