"""What a setting means is found in the built model: the modules that it reaches, or a refusal."""

import copy

import pytest
import torch
from support.families import FAMILIES, token_batch
from support.trials import toy_job
from transformers import AutoConfig
from typer.testing import CliRunner

from raysearch import preflight, study
from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import Pretrained, ReusableModel, read_pretrained
from raysearch.models.auto_models import ARCHITECTURES, build_model
from raysearch.models.dropouts import find_dropout_reach
from raysearch.models.first_token_only import keep_first_token_only
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.models.setting_checks import setting_problems
from raysearch.models.suitability import suitability_problems
from raysearch.recipes import Hyperparameters
from raysearch.search import run_start
from raysearch.search.cluster_options import ClusterOptions
from raysearch.search.data_preparation import BackgroundPreparation
from raysearch.search.sampler_choice import SamplerChoice
from raysearch.tasks import get
from raysearch.training import Trainer

CPU = torch.device("cpu")
FIELDS = ("dropout", "attention_dropout", "classifier_dropout")
STILL = dict.fromkeys(FIELDS, 0.0)

# Family -> head -> the dropout before its head, as the class of transformers calls it.
HEAD_DROPOUTS = {
    "albert": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "amos": {"classify": "classifier.dropout", "choose": "classifier.dropout", "tag": "dropout"},
    "bart": {"classify": "classification_head.dropout"},
    "bert": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "camembert": {"classify": "classifier.dropout", "choose": "dropout", "tag": "dropout"},
    "canine": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "cross_thought": {"classify": "classifier.dropout"},
    "data2vec-text": {"classify": "classifier.dropout", "choose": "dropout", "tag": "dropout"},
    "deberta": {"classify": "dropout", "tag": "dropout"},
    "deberta-v2": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "distilbert": {"classify": "dropout", "choose": "dropout", "tag": "dropout", "span": "dropout"},
    "electra": {"classify": "classifier.dropout", "choose": "sequence_summary.last_dropout",
                "tag": "dropout"},
    "fnet": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "funnel": {"classify": "classifier.dropout", "choose": "classifier.dropout", "tag": "dropout"},
    "gpt2": {"tag": "dropout"},
    "longformer": {"classify": "classifier.dropout", "tag": "dropout"},
    "megatron-bert": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "mobilebert": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "modernbert": {"classify": "drop", "choose": "drop", "tag": "drop", "span": "drop"},
    "mpnet": {"classify": "classifier.dropout", "choose": "dropout", "tag": "dropout"},
    "rembert": {"classify": "dropout", "choose": "dropout", "tag": "dropout"},
    "roberta": {"classify": "classifier.dropout", "choose": "dropout", "tag": "dropout"},
    "t5": {"classify": "classification_head.dropout", "tag": "dropout"},
    "xlm": {"classify": "sequence_summary.first_dropout",
            "choose": "sequence_summary.first_dropout", "tag": "dropout"},
    "xlm-roberta": {"classify": "classifier.dropout", "choose": "dropout", "tag": "dropout"},
    "xlnet": {"classify": "sequence_summary.last_dropout",
              "choose": "sequence_summary.last_dropout"},
}  # fmt: skip
# Heads whose models have no dropout, and heads that need more than a text of toy words.
BARE = {
    "span": set(FAMILIES) - {"distilbert", "modernbert", "longformer", "cross_thought"},
    "tag": {"xlnet"},
    "classify": {"gpt2"},
}
ATTENTION_IS_HIDDEN = ("t5", "xlnet")  # one dropout for both
# A dropout of attention weights, as a module's attribute or as an nn.Dropout.
ATTENTION = {
    "bart": ("model.encoder.layers.0.self_attn", "dropout"),
    "bert": ("bert.encoder.layer.1.attention.self.dropout", "p"),
    "deberta-v2": ("deberta.encoder.layer.0.attention.self.dropout", "p"),
    "distilbert": ("distilbert.transformer.layer.0.attention.dropout", "p"),
    "funnel": ("funnel.encoder.blocks.0.0.attention.attention_dropout", "p"),
    "gpt2": ("transformer.h.0.attn.attn_dropout", "p"),
    "longformer": ("longformer.encoder.layer.0.attention.self", "dropout"),
    "modernbert": ("model.layers.0.attn", "attention_dropout"),
    "xlm": ("transformer.attentions.1", "dropout"),
}
HIDDEN = {
    "bart": ("model.decoder.layers.1", "dropout"),
    "bert": ("bert.embeddings.dropout", "p"),
    "deberta-v2": ("deberta.encoder.layer.0.output.dropout", "p"),
    "distilbert": ("distilbert.transformer.layer.1.ffn.dropout", "p"),
    "funnel": ("funnel.encoder.blocks.1.0.ffn.dropout", "p"),
    "gpt2": ("transformer.drop", "p"),
    "modernbert": ("model.layers.1.mlp.drop", "p"),
    "t5": ("transformer.encoder.block.0.layer.0.SelfAttention", "dropout"),
    "xlm": ("transformer", "dropout"),
    "xlnet": ("transformer.layer.0.rel_attn.dropout", "p"),
}


def encoder(kind, head, **settings):
    """A tiny model of a family with a head, as the workers get it, without pretrained weights."""
    config = AutoConfig.for_model(kind, **{**FAMILIES[kind], **settings})
    config.raysearch = HEADS[head].variant(Hyperparameters()) or None
    return Pretrained(name=kind, head=head, config=config.to_dict(), weights={}, tokenizer={},
                      digest=f"{kind} {head} {settings}")  # fmt: skip


def text(kind, head):
    """A batch of two texts of 16 tokens, as the head reads them."""
    return token_batch(AutoConfig.for_model(kind, **FAMILIES[kind]), head)


def scores(model, batch):
    """What a model says in training, always with the same random numbers."""
    torch.manual_seed(3)
    said = model.train()(**batch)
    return (said.start if hasattr(said, "start") else said.logits).detach().clone()


def value(model, place):
    name, attribute = place
    return getattr(model.get_submodule(name), attribute)


PAIRS = [(kind, head) for kind, heads in HEAD_DROPOUTS.items() for head in heads]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "head"), PAIRS)
def test_classifier_dropout_stands_before_every_head_and_changes_what_it_says(kind, head):
    given, batch, bench = encoder(kind, head), text(kind, head), ReusableModel(CPU)
    said = []
    for rate in (0.0, 0.4):
        model = bench.model(given, Hyperparameters(**{**STILL, "classifier_dropout": rate}), 1)
        dropout = model.get_submodule(HEAD_DROPOUTS[kind][head])
        assert getattr(dropout, "p", 0.0) == rate
        said.append(scores(model, batch))
    assert not torch.equal(*said)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["dropout", "attention_dropout"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_hidden_and_attention_dropout_reach_the_encoder_or_are_refused(kind, field):
    head = "tag" if kind == "gpt2" else "classify"
    given, batch, bench, said = encoder(kind, head), text(kind, head), ReusableModel(CPU), []
    if field == "attention_dropout" and kind in (*ATTENTION_IS_HIDDEN, "fnet"):
        with pytest.raises(InputError, match=r"attention_dropout .*dropout"):
            bench.model(given, Hyperparameters(dropout=0.1, attention_dropout=0.4), 1)
        return
    places = HIDDEN if field == "dropout" else ATTENTION
    for rate in (0.0, 0.4):
        model = bench.model(
            given, Hyperparameters(**{**STILL, field: rate, **shared(kind, rate)}), 1
        )
        for one in model.modules():  # a dropout that no setting reaches, as fairseq's
            if isinstance(getattr(one, "activation_dropout", None), float):
                one.activation_dropout = 0.0
        if kind in places:
            assert value(model, places[kind]) == rate
        said.append(scores(model, batch))
    assert not torch.equal(*said)


def shared(kind, rate):
    """Both rates alike where a family has one dropout for both."""
    alike = {"dropout": rate, "attention_dropout": rate}
    return alike if kind in ATTENTION_IS_HIDDEN else {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "kind"), [(head, kind) for head, kinds in BARE.items() for kind in sorted(kinds)]
)
def test_classifier_dropout_is_refused_where_a_head_has_none(kind, head):
    given = encoder(kind, head)
    with pytest.raises(InputError, match=f"classifier_dropout  of '{kind}': .* no dropout in its"):
        ReusableModel(CPU).model(given, Hyperparameters(classifier_dropout=0.2), 1)
    ReusableModel(CPU).model(given, Hyperparameters(classifier_dropout=0), 1)  # none is what it has


def test_debertas_pooler_keeps_its_own_dropout_as_in_its_recipes():
    given = encoder("deberta-v2", "classify", pooler_dropout=0.05)
    model = ReusableModel(CPU).model(given, Hyperparameters(classifier_dropout=0.3), 1)
    assert (model.pooler.dropout.p, model.dropout.p) == (0.05, 0.3)
    own = encoder("deberta-v2", "classify", cls_dropout=0.15)
    assert ReusableModel(CPU).model(own, Hyperparameters(dropout=0.1), 1).dropout.p == 0.15


def test_what_is_not_set_is_the_models_own_and_follows_it_as_in_transformers():
    given, bench = encoder("roberta", "choose"), ReusableModel(CPU)
    assert bench.model(given, Hyperparameters(), 1).dropout.p == 0.1
    assert bench.model(given, Hyperparameters(dropout=0.2), 1).dropout.p == 0.2
    both = bench.model(given, Hyperparameters(dropout=0.2, classifier_dropout=0), 1)
    assert (both.dropout.p, both.roberta.embeddings.dropout.p) == (0, 0.2)


def test_the_conditional_heads_dropout_is_the_classifiers():
    given = encoder("distilbert", "span")
    given.config["raysearch"] = {"span_head": "conditional"}
    hyper = Hyperparameters(span_head="conditional", classifier_dropout=0.3)
    model = ReusableModel(CPU).model(given, hyper, 1)
    assert model.qa_outputs.dropout.p == 0.3
    assert model.dropout.p == 0.1  # the plain head's, which nothing reads


@pytest.mark.slow
def test_other_dropouts_give_other_losses(toy_folder):
    """RoBERTa's multiple choice aside: the case of DeBERTa, whose name for it no file spells."""
    losses, folder = [], str(toy_folder("deberta-v2"))
    for rate in (0.0, 0.6):
        job = toy_job("glue/rte", EPOCH=1, dropout=0, attention_dropout=0, classifier_dropout=rate)
        pretrained = read_pretrained(folder, get("glue/rte"), read_tokenizer(folder, ()))
        losses.append(
            [r.loss for r in Trainer(job, ReusableModel(CPU).model(pretrained, job.hyper, 1))]
        )
    assert losses[0] != losses[1]


def test_dropouts_leave_weights_and_predictions_alone():
    given, batch = encoder("roberta", "classify"), text("roberta", "classify")
    models = [
        ReusableModel(CPU).model(given, Hyperparameters(classifier_dropout=p, dropout=p), 1)
        for p in (0, 0.5)
    ]
    one, two = (export_weights(model) for model in models)
    assert all((one[name] == two[name]).all() for name in one)
    with torch.no_grad():
        assert torch.equal(*(model.eval()(**batch).logits for model in models))


SUMMARIES = [("electra", "choose", {"summary_type": t}) for t in ("first", "last", "mean")]
PLAIN = [(kind, head, {}) for kind in ("bert", "roberta", "camembert", "electra")
         for head in ("classify", "choose")]  # fmt: skip


@pytest.mark.parametrize(("kind", "head", "settings"), [*SUMMARIES, *PLAIN])
def test_the_saving_of_the_last_layer_asks_the_head_what_it_reads(kind, head, settings):
    config = AutoConfig.for_model(kind, **{**FAMILIES[kind], **settings})
    torch.manual_seed(2)
    whole = ARCHITECTURES[head].from_config(config).eval()
    saving = copy.deepcopy(whole)
    keep_first_token_only(saving)
    shortened = "forward" in vars(saving.base_model.encoder.layer[-1])
    assert shortened == (settings.get("summary_type", "first") == "first")
    batch = text(kind, head)
    batch["attention_mask"] = batch["attention_mask"].clone()
    batch["attention_mask"][..., 11:] = 0
    with torch.no_grad():
        torch.testing.assert_close(
            saving(**batch).logits, whole(**batch).logits, rtol=1e-5, atol=1e-6
        )


@pytest.fixture
def folder(tmp_path):
    """Writes a tiny model's config.json: folder("xlnet")."""

    def write(kind):
        AutoConfig.for_model(kind, **FAMILIES[kind]).save_pretrained(tmp_path / kind)
        return str(tmp_path / kind)

    return write


def problems(model, tasks, **parts):
    parsed = study.parse({"tasks": tasks, "model": model, **parts})
    return {problem.location: problem.text for problem in setting_problems(parsed)}


RTE, SQUAD = "glue/rte", "squad/v2.0"


def test_settings_that_reach_nothing_are_refused_by_name_with_model_and_task(folder):
    bert, xlnet = folder("bert"), folder("xlnet")
    assert problems(bert, [RTE], fixed={"classifier_dropout": 0.2, "dropout": 0}) == {}
    found = problems(bert, [RTE, SQUAD], fixed={"classifier_dropout": 0.2})
    assert list(found) == ["fixed.classifier_dropout"]
    for part in (SQUAD, bert, "BertForQuestionAnswering has no dropout in its head", "dropout re"):
        assert part in found["fixed.classifier_dropout"]
    assert RTE not in found["fixed.classifier_dropout"]
    spared = {SQUAD: {"fixed": {"classifier_dropout": "none"}}}
    assert problems(bert, [RTE, SQUAD], fixed={"classifier_dropout": 0.2}, per_task=spared) == {}
    searched = {"classifier_dropout": {"choice": [0, 0.1]}}
    assert list(problems(bert, [SQUAD], space=searched)) == ["space.classifier_dropout"]
    own = {SQUAD: {"space": searched}}
    place = f"per_task.{SQUAD}.space.classifier_dropout"
    assert list(problems(bert, [RTE, SQUAD], per_task=own)) == [place]
    alike = {"dropout": 0.1, "attention_dropout": 0.1}
    assert problems(xlnet, [RTE], fixed=alike) == {}
    found = problems(xlnet, [RTE], fixed={**alike, "attention_dropout": 0.2})
    assert "one dropout for attention and hidden" in found["fixed.attention_dropout"]
    assert problems("scratch", [SQUAD], space=searched)  # asked as well, once workers come up


def test_what_a_family_cannot_do_is_refused(folder):
    found = problems(folder("xlnet"), [RTE], fixed={"gradient_checkpointing": True})
    assert "supports none" in found["fixed.gradient_checkpointing"]
    assert problems(folder("bert"), [RTE], fixed={"gradient_checkpointing": True}) == {}
    found = problems(folder("t5"), [SQUAD], fixed={"span_head": "conditional"})
    assert "T5ForQuestionAnswering" in found["fixed.span_head"]
    decay = {"layerwise_decay": 0.9}
    assert problems(folder("funnel"), [RTE], fixed=decay) == {}


def test_check_refuses_a_setting_that_reaches_nothing_of_a_folder(toy_folder, tmp_path):
    (tmp_path / "one.yaml").write_text(
        f"tasks: [{SQUAD}]\nmodel: {toy_folder('bert')}\nspace:\n"
        "  classifier_dropout: {choice: [0, 0.1]}\n"
    )
    done = CliRunner().invoke(app, ["check", str(tmp_path / "one.yaml")])
    assert done.exit_code == 2
    assert "space.classifier_dropout" in done.output


def test_a_run_refuses_it_before_anything_is_prepared(folder, tmp_path):
    searched = {"classifier_dropout": {"choice": [0, 0.1]}}
    parsed = study.parse({"tasks": [SQUAD], "model": folder("bert"), "space": searched})
    first, *others = suitability_problems(parsed, [SQUAD])
    assert first.location == "space.classifier_dropout"
    assert ["tokenizer" in problem.text for problem in others] == [True]  # the folder has none
    scratch = parsed.model_copy(update={"model": "scratch"})
    preparation = BackgroundPreparation(scratch, tmp_path, None, print)
    preparation.start([SQUAD])
    preparation._thread.join()
    assert isinstance(preparation.error, InputError)
    assert [p.location for p in preparation.error.problems] == ["space.classifier_dropout"]


def test_a_problem_is_listed_once(tmp_path):
    parsed = study.parse({"tasks": [RTE], "model": "no/model"})
    choice, cluster = SamplerChoice.of(parsed, None), ClusterOptions.of("auto", None)
    survey = preflight.survey(parsed, tmp_path)
    problems = run_start.run_problems(choice, survey, None, preflight.Lanes(), cluster)
    assert problems
    assert len(problems) == len(set(problems))


IDLE = [
    (RTE, {}, "schedule_power", [1, 2], "schedule is polynomial, and that is linear"),
    (RTE, {}, "fp16_scale", [4, 8], "precision is fp16, and that is fp32"),
    (RTE, {"bias_correction": False}, "adam_eps_on", ["raw", "corrected"], "bias_correction"),
    (RTE, {"weight_decay": 0}, "decay_exclude", [["bias"], []], "weight_decay is above 0"),
    (RTE, {}, "layerwise_offset", [1, 2], "layerwise_decay is below 1, and that is None"),
    (SQUAD, {}, "beam", [2, 5], "span_head is conditional, and that is plain"),
    ("squad/v1.1", {}, "null_threshold", [0, 1], "every question has an answer"),
]


@pytest.mark.parametrize(("task", "fixed", "name", "values", "reason"), IDLE)
def test_a_searched_value_that_nothing_reads_is_refused_and_a_fixed_one_is_told(
    task, fixed, name, values, reason
):
    raw = {"tasks": [task], "model": "scratch", "fixed": fixed}
    with pytest.raises(InputError, match=rf"space\.{name} .*{reason}"):
        study.parse({**raw, "space": {name: {"choice": values}}})
    told = preflight.survey(study.parse({**raw, "fixed": {**fixed, name: values[0]}}), None).notes
    assert any(f"fixed.{name} changes nothing" in note and reason in note for note in told)


def test_a_searched_value_that_some_trial_or_task_reads_is_searched():
    def searched(*tasks, **space):
        parts = {name: {"choice": values} for name, values in space.items()}
        return study.parse({"tasks": list(tasks), "model": "scratch", "space": parts}).space

    assert len(searched(RTE, schedule_power=[1, 2], schedule=["linear", "polynomial"])) == 2
    assert len(searched("squad/v1.1", SQUAD, null_threshold=[0, 1])) == 1


_SMALL = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 32}  # fmt: skip


@pytest.mark.parametrize("kind", ["nystromformer", "yoso", "mra"])
def test_a_dropout_that_is_built_and_never_read_is_none(kind):
    config = AutoConfig.for_model(kind, **_SMALL).to_dict()
    reach = find_dropout_reach(config, "classify")
    assert (
        "changes nothing"
        in reach.unreached(Hyperparameters(attention_dropout=0.5))["attention_dropout"]
    )
    assert not reach.unreached(Hyperparameters(dropout=0.5))


def test_bigbirds_attention_dropout_is_that_of_its_attention_to_short_texts():
    config = AutoConfig.for_model("big_bird", **_SMALL).to_dict()
    reach, rates = find_dropout_reach(config, "classify"), []
    for rate in (0.0, 0.5):
        hyper = Hyperparameters(dropout=0, classifier_dropout=0, attention_dropout=rate)
        assert not reach.unreached(hyper)
        model = build_model({**config, **reach.overrides(hyper)}, "classify")
        ids = torch.randint(5, 59, (2, 40))
        model(input_ids=ids, attention_mask=torch.ones_like(ids))  # attends to all from here on
        rates.append(model.base_model.encoder.layer[0].attention.self.dropout.p)
    assert rates == [0.0, 0.5]
