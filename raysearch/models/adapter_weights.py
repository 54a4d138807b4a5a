"""The weights of adapters: their names, and how they are merged into those of the encoder.

Apart from `lora`, since neither a model nor torch is needed.
"""

import re
from collections.abc import Mapping

import numpy as np

from ..recipes import Hyperparameters

_MATRIX = re.compile(r"\.lora_[AB]$")

Arrays = Mapping[str, np.ndarray]


def is_adapter(name: str) -> bool:
    """Return whether a name is that of an adapter's matrix."""
    return _MATRIX.search(name) is not None


def adapted_weight(name: str) -> str:
    """Return the weight that an adapter's matrix belongs to; of other weights their own name."""
    return _MATRIX.sub(".weight", name)


def merge_adapters(base: Arrays, trained: Arrays, hyper: Hyperparameters) -> dict[str, np.ndarray]:
    """Return the weights of an adapted model without adapters: W + scale B A, in float32.

    Args:
        base: the pretrained weights, name -> float32 array.
        trained: those that were trained: the head, and the matrices of the adapters. Without
            adapters they are returned as they are.
        hyper: of the training.
    """
    layers = [name.removesuffix(".lora_A") for name in trained if name.endswith(".lora_A")]
    if not layers:
        return dict(trained)
    assert hyper.lora_rank is not None, "adapters without a rank"
    scale = hyper.lora_alpha / hyper.lora_rank
    merged = {**base, **{name: x for name, x in trained.items() if not is_adapter(name)}}
    for layer in layers:
        product = trained[f"{layer}.lora_B"].astype(np.float64) @ trained[f"{layer}.lora_A"]
        weight = f"{layer}.weight"
        merged[weight] = (base[weight] + scale * product).astype(np.float32)
    return merged
