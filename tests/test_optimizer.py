"""AdamW's variants against plain numpy, and what each parameter of each architecture is."""

import numpy as np
import pytest
import torch
from conftest import TOY_CONFIGS

from raysearch.fit.optimizer import AdamW, decays, depths, multipliers
from raysearch.recipes import Hyper


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
    hyper = Hyper(weight_decay=0.1, adam_eps=1e-3, **VARIANTS[variant])
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
    scale = multipliers(list(start), hyper)
    for name, parameter in model.named_parameters():
        decay = hyper.weight_decay if decays(name, parameter.shape, hyper) else 0.0
        expected = numpy_adamw(
            start[name], gradients[name], rates, hyper, multiplier=scale[name], decay=decay
        )
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=2e-5, atol=2e-7)


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
    found = multipliers(
        [*names, "classifier.weight"], Hyper(layerwise_decay=rate, layerwise_offset=offset)
    )
    values = list(found.values())
    assert values[:3] == pytest.approx([embeddings, embeddings, bottom], abs=5e-5)
    assert values[-2:] == pytest.approx([top, 1.0])


def toy_names(kind):
    """Name -> parameter of a tiny model with a head."""
    from conftest import _SHAPE
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(kind, **{**_SHAPE, **TOY_CONFIGS[kind]})
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    return model, dict(model.named_parameters())


@pytest.mark.parametrize("kind", TOY_CONFIGS)
def test_every_parameter_of_every_architecture_lies_where_it_computes(kind):
    model, parameters = toy_names(kind)
    depth, layers = depths(list(parameters)), 1 if kind == "albert" else 2
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
            left_out = not decays(name, parameter.shape, Hyper(decay_exclude=kinds))
            assert left_out == expected, (name, kinds)
