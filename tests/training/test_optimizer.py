"""AdamW's variants against plain numpy, and what each parameter of each architecture is."""

import numpy as np
import pytest
import torch
from support.toys import TOY_CONFIGS

from raysearch.errors import InputError
from raysearch.models.layer_depths import depths_of
from raysearch.models.pruned_embedding import PrunedEmbedding
from raysearch.recipes import Hyperparameters
from raysearch.training.optimizer import (
    AdamW,
    has_weight_decay,
    learning_rate_multipliers,
    parameter_depths,
)


class ToyModel(torch.nn.Module):
    """One parameter of each kind."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.embeddings = torch.nn.Embedding(5, 4)
        self.layer = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
        self.norm = torch.nn.LayerNorm(4)
        self.classifier = torch.nn.Linear(4, 2)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)


def numpy_adamw(weights, gradients, rates, hyper, *, multiplier, decay):
    """Updates one parameter step by step in float64, as the papers write it."""
    w = weights.astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    b1, b2 = hyper.adam_betas
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        rate = rate * multiplier
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - rate * decay * w
        if not hyper.bias_correction:
            w = w - rate * m / (np.sqrt(v) + hyper.adam_eps)
        elif hyper.adam_eps_on == "raw":
            step = rate * np.sqrt(1 - b2**t) / (1 - b1**t)
            w = w - step * m / (np.sqrt(v) + hyper.adam_eps)
        else:
            w = w - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + hyper.adam_eps)
    return w


VARIANTS = {
    "transformers": {},
    "fairseq": {"adam_eps_on": "raw", "adam_betas": (0.9, 0.98), "decay_exclude": ()},
    "bert": {"bias_correction": False, "decay_exclude": ("bias", "norm")},
    "electra": {"bias_correction": False, "layerwise_decay": 0.8},
    "frozen table": {"decay_exclude": ("embedding",), "layerwise_decay": 0.9,
                     "layerwise_offset": 1},
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_adamw_is_the_formula_of_the_paper(variant):
    hyper = Hyperparameters(weight_decay=0.1, adam_eps=1e-3, **VARIANTS[variant])
    model = ToyModel()
    optimizer = AdamW(model, hyper)
    start = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    random, rates = np.random.default_rng(0), [0.0, 0.01, 0.02, 0.01, 0.005]
    gradients = {n: random.normal(size=(5, *w.shape)) * 0.01 for n, w in start.items()}
    for step, rate in enumerate(rates):
        for name, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients[name][step]).float()
        optimizer.prepare(rate)
        optimizer.step()
    scale = learning_rate_multipliers(list(start), hyper)
    for name, parameter in model.named_parameters():
        decay = hyper.weight_decay if has_weight_decay(name, parameter.shape, hyper) else 0.0
        expected = numpy_adamw(
            start[name], gradients[name], rates, hyper, multiplier=scale[name], decay=decay
        )
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=2e-5, atol=2e-7)


@pytest.mark.parametrize("options", [{}, {"bias_correction": False}, {"layerwise_decay": 0.5}])
def test_decay_by_the_share_of_the_peak_is_the_same_whatever_the_peak_and_the_layer(options):
    hyper = Hyperparameters(
        LR=5e-5, weight_decay=0.01, decay_times="share", decay_exclude=(), **options
    )
    model = ToyModel()
    optimizer = AdamW(model, hyper)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    for rate in (5e-5, 2.5e-5):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.prepare(rate)
        optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), start[name] * 0.99 * 0.995)


OVERFLOWS = (True, False, False, False, True, True, False, False, False, False)


def step_with_scale(optimizer, scaler, overflows):
    """Whether a step of fp16 updated, and how often the host waited for the device for it."""
    calls, get_scale = [], scaler.get_scale
    scaler.get_scale = lambda: calls.append(1) or get_scale()
    for parameter in optimizer.parameters:
        gradient = torch.full_like(parameter, float("inf") if overflows else 1.0)
        parameter.grad = scaler.scale(gradient)
    scaler.unscale_(optimizer.inner)
    optimizer.prepare(0.1)
    updated = optimizer.step(scaler)
    scaler.get_scale = get_scale
    return updated, len(calls)


def test_a_step_of_fp16_waits_for_the_device_once_and_tells_overflows() -> None:
    optimizer = AdamW(ToyModel(), Hyperparameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    steps = []
    for overflows in OVERFLOWS:
        before = scaler.get_scale()
        steps.append(step_with_scale(optimizer, scaler, overflows))
        assert steps[-1][0] == (scaler.get_scale() >= before)
    assert [updated for updated, _ in steps] == [not overflows for overflows in OVERFLOWS]
    assert [waits for _, waits in steps] == [2] + [1] * 9  # the first scale is not known
    assert optimizer.updates == 7
    assert scaler.get_scale() == 8.0  # halved three times, doubled three times


def test_a_checkpoint_with_another_loss_scale_is_no_overflow() -> None:
    optimizer = AdamW(ToyModel(), Hyperparameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    assert step_with_scale(optimizer, scaler, False)[0]
    state, lower = optimizer.state_dict(), torch.amp.GradScaler("cpu", init_scale=2.0)
    optimizer.load_state_dict(state)
    scaler.load_state_dict(lower.state_dict())
    assert step_with_scale(optimizer, scaler, False)[0]
    assert optimizer.updates == 2


@pytest.mark.parametrize(
    ("layers", "rate", "offset", "embeddings", "bottom", "top"),
    [
        (12, 0.8, 2, 0.04398, 0.05498, 0.64),
        (24, 0.9, 2, 0.0646, 0.0718, 0.81),
        (12, 0.8, 1, 0.8**13, 0.8**12, 0.8),
    ],
)
def test_layerwise_decay_gives_electras_multipliers(layers, rate, offset, embeddings, bottom, top):
    names = ["electra.embeddings.LayerNorm.weight", "electra.embeddings_project.weight"]
    names += [f"electra.encoder.layer.{at}.output.dense.weight" for at in range(layers)]
    found = learning_rate_multipliers(
        [*names, "classifier.weight"],
        Hyperparameters(layerwise_decay=rate, layerwise_offset=offset),
    )
    values = list(found.values())
    assert values[:3] == pytest.approx([embeddings, embeddings, bottom], abs=5e-5)
    assert values[-2:] == pytest.approx([top, 1.0])


def toy_names(kind):
    """Name -> parameter of a tiny model with a head."""
    from support.toys import _SHAPE
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(kind, **{**_SHAPE, **TOY_CONFIGS[kind]})
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    return model, dict(model.named_parameters())


@pytest.mark.parametrize("kind", TOY_CONFIGS)
def test_every_parameter_of_every_architecture_lies_where_it_computes(kind):
    model, parameters = toy_names(kind)
    depth, layers = parameter_depths(list(parameters)), 1 if kind == "albert" else 2
    assert set(depth.values()) == set(range(layers + 2))
    for name, found in depth.items():
        if not name.startswith(model.base_model_prefix + ".") or "pooler" in name:
            assert found == layers + 1, name
        elif ".layer" in name or "_layers." in name:
            number = 0 if kind == "albert" else int(name.split("layer")[1].split(".")[1])
            assert found == number + 1, name
        elif "final_norm" in name:
            assert found == layers + 1, name
        else:
            assert found == 0, name


@pytest.mark.parametrize("kind", TOY_CONFIGS)
def test_decay_leaves_out_what_modules_say_is_norm_bias_or_table(kind):
    model, parameters = toy_names(kind)
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    norms = {
        id(p) for m in model.modules() if "Norm" in type(m).__name__ for p in m.parameters(False)
    }
    for name, parameter in parameters.items():
        for kinds, expected in (
            (("norm",), id(parameter) in norms),
            (("embedding",), id(parameter) in tables),
            (("bias",), name.endswith(".bias")),
        ):
            left_out = not has_weight_decay(
                name, parameter.shape, Hyperparameters(decay_exclude=kinds)
            )
            assert left_out == expected, (name, kinds)


def toy_family(kind, auto=None):
    """A tiny model of a family, on the meta device."""
    from support.families import FAMILIES
    from transformers import AutoConfig, AutoModelForSequenceClassification

    with torch.device("meta"):
        auto = auto or AutoModelForSequenceClassification
        return auto.from_config(AutoConfig.for_model(kind, **FAMILIES[kind]))


# Family -> parameters and how deep they lie, told by hand: 0 below the layers, then each layer,
# then what stands above them. All toys have two layers, or two in each half.
DEPTHS = {
    "bart": {
        "model.shared.weight": 0, "model.encoder.embed_positions.weight": 0,
        "model.encoder.layernorm_embedding.weight": 0, "model.decoder.embed_positions.weight": 0,
        "model.decoder.layernorm_embedding.bias": 0, "model.encoder.layers.0.fc1.weight": 1,
        "model.encoder.layers.1.fc1.weight": 2, "model.decoder.layers.0.fc1.weight": 3,
        "model.decoder.layers.1.encoder_attn.k_proj.weight": 4,
        "classification_head.dense.weight": 5,
    },
    "canine": {
        "canine.char_embeddings.HashBucketCodepointEmbedder_3.weight": 0,
        "canine.initial_char_encoder.layer.0.output.dense.weight": 1,
        "canine.chars_to_molecules.conv.weight": 1, "canine.encoder.layer.0.output.dense.weight": 2,
        "canine.encoder.layer.1.output.dense.weight": 3, "canine.projection.conv.weight": 3,
        "canine.final_char_encoder.layer.0.output.dense.weight": 4, "classifier.weight": 5,
    },
    "cross_thought": {
        "roberta.embeddings.position_embeddings.weight": 0,
        "roberta.encoder.layer.0.output.dense.weight": 1,
        "roberta.encoder.layer.1.output.dense.weight": 2,
        "roberta.cross.0.output.dense.weight": 3, "classifier.dense.weight": 3,
    },
    "deberta-v2": {
        "deberta.embeddings.word_embeddings.weight": 0, "deberta.encoder.rel_embeddings.weight": 0,
        "deberta.encoder.LayerNorm.weight": 0, "deberta.encoder.conv.conv.weight": 1,
        "deberta.encoder.conv.LayerNorm.bias": 1,
        "deberta.encoder.layer.0.attention.self.query_proj.weight": 1,
        "deberta.encoder.layer.1.output.dense.bias": 2, "pooler.dense.weight": 3,
    },
    "distilbert": {
        "distilbert.embeddings.position_embeddings.weight": 0,
        "distilbert.transformer.layer.0.ffn.lin1.weight": 1,
        "distilbert.transformer.layer.1.sa_layer_norm.bias": 2, "pre_classifier.weight": 3,
    },
    "fnet": {
        "fnet.embeddings.projection.weight": 0, "fnet.encoder.layer.1.output.dense.weight": 2,
        "fnet.pooler.dense.weight": 3,
    },
    "funnel": {
        "funnel.embeddings.word_embeddings.weight": 0, "funnel.embeddings.layer_norm.weight": 0,
        "funnel.encoder.blocks.0.0.ffn.linear_1.weight": 1,
        "funnel.encoder.blocks.1.0.attention.r_w_bias": 2, "classifier.linear_out.weight": 3,
    },
    "gpt2": {
        "transformer.wte.weight": 0, "transformer.wpe.weight": 0,
        "transformer.h.0.attn.c_attn.weight": 1, "transformer.h.1.ln_2.weight": 2,
        "transformer.ln_f.weight": 3, "score.weight": 3,
    },
    "megatron-bert": {
        "bert.embeddings.word_embeddings.weight": 0, "bert.encoder.layer.0.ln.weight": 1,
        "bert.encoder.layer.1.attention.ln.bias": 2, "bert.encoder.ln.weight": 3,
        "bert.pooler.dense.weight": 3,
    },
    "mpnet": {
        "mpnet.encoder.relative_attention_bias.weight": 0,
        "mpnet.encoder.layer.0.attention.attn.q.weight": 1, "classifier.dense.weight": 3,
    },
    "rembert": {
        "rembert.encoder.embedding_hidden_mapping_in.weight": 0,
        "rembert.encoder.layer.1.output.dense.weight": 2, "rembert.pooler.dense.weight": 3,
    },
    "t5": {
        "transformer.shared.weight": 0,
        "transformer.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": 1,
        "transformer.encoder.block.1.layer.1.DenseReluDense.wi.weight": 2,
        "transformer.encoder.final_layer_norm.weight": 2,
        "transformer.decoder.block.0.layer.0.SelfAttention.q.weight": 3,
        "transformer.decoder.block.1.layer.2.layer_norm.weight": 4,
        "transformer.decoder.final_layer_norm.weight": 5,
        "classification_head.out_proj.weight": 5,
    },
    "xlm": {
        "transformer.embeddings.weight": 0, "transformer.position_embeddings.weight": 0,
        "transformer.layer_norm_emb.weight": 0, "transformer.attentions.0.q_lin.weight": 1,
        "transformer.layer_norm1.0.weight": 1, "transformer.ffns.0.lin1.weight": 1,
        "transformer.attentions.1.out_lin.bias": 2, "transformer.layer_norm2.1.bias": 2,
        "sequence_summary.summary.weight": 3,
    },
    "xlnet": {
        "transformer.word_embedding.weight": 0, "transformer.mask_emb": 0,
        "transformer.layer.0.rel_attn.q": 1, "transformer.layer.1.rel_attn.seg_embed": 2,
        "logits_proj.weight": 3,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", DEPTHS)
def test_layers_are_told_by_the_order_in_which_a_text_passes_through_them(kind):
    model = toy_family(kind)
    depth = depths_of(model)
    assert depth.keys() == dict(model.named_parameters()).keys()
    top = 5 if kind in ("bart", "canine", "t5") else 3
    assert set(depth.values()) == set(range(top + 1))
    assert {name: depth[name] for name in DEPTHS[kind]} == DEPTHS[kind]
    scale = learning_rate_multipliers(
        model, Hyperparameters(layerwise_decay=0.5, layerwise_offset=1)
    )
    for name, deep in DEPTHS[kind].items():
        assert scale[name] == (1 if deep == top else 0.5 ** (top - deep)), name


@pytest.mark.parametrize("kind", TOY_CONFIGS)
def test_a_models_layers_are_those_that_its_names_tell(kind):
    model, parameters = toy_names(kind)
    hyper = Hyperparameters(layerwise_decay=0.8)
    assert learning_rate_multipliers(model, hyper) == learning_rate_multipliers(
        list(parameters), hyper
    )


@pytest.mark.parametrize("kind", ["bart", "funnel", "t5", "xlm"])
def test_names_alone_tell_the_same_of_lists_of_lists_and_of_halves(kind):
    model = toy_family(kind)
    known = depths_of(model)
    told = parameter_depths([name for name, _ in model.named_parameters()])
    layers = {n for n in known if any(f".{number}." in n for number in range(2))}
    embedding = next(n for n, p in model.named_parameters()
                     if p is model.get_input_embeddings().weight)  # fmt: skip
    for name in (*layers, embedding):
        assert told[name] == known[name], name


def test_layers_that_cannot_be_told_are_refused():
    model = toy_family("bert")
    model.config.max_position_embeddings = 2  # no text fits
    with pytest.raises(InputError, match=r"the layers of BertForSequenceClassification cannot"):
        learning_rate_multipliers(model, Hyperparameters(layerwise_decay=0.9))
    assert set(learning_rate_multipliers(model, Hyperparameters()).values()) == {1.0}


# Family -> what is a norm and what a table there, and what only looks so by its name.
KINDS = {
    "megatron-bert": {
        "bert.encoder.layer.0.ln.weight": "norm", "bert.encoder.layer.1.attention.ln.bias": "norm",
        "bert.encoder.ln.weight": "norm", "bert.embeddings.position_embeddings.weight": "embedding",
        "bert.encoder.layer.0.output.dense.weight": "",
    },
    "bart": {
        "model.encoder.layernorm_embedding.weight": "norm", "model.shared.weight": "embedding",
        "model.decoder.embed_positions.weight": "embedding",
    },
    "t5": {
        "transformer.encoder.block.0.layer.0.layer_norm.weight": "norm",
        "transformer.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight":
            "embedding",
        "transformer.shared.weight": "embedding",
    },
    "gpt2": {
        "transformer.ln_f.weight": "norm", "transformer.h.0.ln_1.bias": "norm",
        "transformer.wpe.weight": "embedding", "transformer.h.0.attn.c_proj.weight": "",
    },
    "canine": {
        "canine.char_embeddings.HashBucketCodepointEmbedder_0.weight": "embedding",
        "canine.chars_to_molecules.LayerNorm.weight": "norm",
        "canine.chars_to_molecules.conv.weight": "",
    },
    "deberta-v2": {
        "deberta.encoder.rel_embeddings.weight": "embedding",
        "deberta.encoder.LayerNorm.weight": "norm", "deberta.encoder.conv.LayerNorm.weight": "norm",
        "deberta.encoder.conv.conv.weight": "",
    },
    "mobilebert": {
        "mobilebert.embeddings.embedding_transformation.weight": "",
        "mobilebert.encoder.layer.0.output.LayerNorm.weight": "norm",
    },
    "xlm": {
        "transformer.embeddings.weight": "embedding", "transformer.layer_norm_emb.weight": "norm",
        "transformer.layer_norm1.0.weight": "norm",
    },
    "xlnet": {"transformer.layer.0.rel_attn.layer_norm.weight": "norm",
              "transformer.layer.0.rel_attn.seg_embed": "",
              "transformer.word_embedding.weight": "embedding"},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_norms_and_tables_are_what_their_modules_are(kind):
    model = toy_family(kind)
    for name, is_a in KINDS[kind].items():
        owner, parameter = model.get_submodule(name.rpartition(".")[0]), model.get_parameter(name)
        for excluded in ("norm", "embedding"):
            hyper = Hyperparameters(decay_exclude=(excluded,))
            assert has_weight_decay(name, parameter.shape, hyper, owner) == (excluded != is_a), name


def test_the_optimizer_asks_the_modules_and_a_cut_embedding_is_a_table():
    from support.families import FAMILIES
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model("megatron-bert", **FAMILIES["megatron-bert"])
    model = AutoModelForSequenceClassification.from_config(config)
    table = model.get_input_embeddings()
    model.set_input_embeddings(PrunedEmbedding(table, np.array([3, 5]), table.weight.detach()))
    hyper = Hyperparameters(decay_exclude=("norm", "embedding"), weight_decay=0.1)
    groups = AdamW(model, hyper).inner.param_groups
    decaying = {id(p) for group in groups if group["decay"] for p in group["params"]}
    spared = {n for n, p in model.named_parameters() if id(p) not in decaying}
    assert "bert.embeddings.word_embeddings.weight" in spared
    assert {"bert.encoder.ln.weight", "bert.encoder.layer.0.ln.bias"} < spared
    assert all(".ln." in name or "embeddings" in name for name in spared)
