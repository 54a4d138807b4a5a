"""The bench of a worker: one model in memory, set back to its pretrained weights for each trial."""

import hashlib
import warnings
from typing import Any

import numpy as np
import torch

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from .dropouts import FIELDS, DropoutReach, find_dropout_reach, set_dropouts
from .first_token_layer import read_first_token
from .heads import build_model
from .pretrained import Pretrained
from .pruned_embedding import full_state_dict, prune_embedding

FIRST_TOKEN = ("classify", "regress", "choose")  # heads that read no other token


class ReusableModel:
    """Builds a model once and restores it in memory for every trial.

    Args:
        device: where the model lives.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._key: tuple[Any, ...] | None = None
        self._model: torch.nn.Module | None = None
        self._weights: dict[str, torch.Tensor] = {}
        self._known: set[str] = set()
        self._reach: tuple[Any, Any] = (None, None)

    def model(
        self,
        pretrained: Pretrained,
        hyper: Hyperparameters,
        seed: int,
        vocabulary: np.ndarray | None = None,
    ) -> torch.nn.Module:
        """The model at the start of a trial: pretrained weights, the rest drawn from the seed.

        What a trial gets does not depend on the trials before it.

        Args:
            vocabulary: the only token ids that the trial will look up, sorted; none: any.
        """
        reach = self._reach_of(pretrained, hyper)
        settings = _settings(reach, hyper)
        known = None if vocabulary is None else hashlib.sha256(vocabulary.tobytes()).digest()
        key = (
            pretrained.digest,
            hyper.gradient_checkpointing,
            repr(sorted(settings.items())),
            tuple(getattr(hyper, field) for field in FIELDS),
            known,
        )
        if key != self._key:
            self._key, self._model = None, None
            self._model = _build(pretrained, settings, hyper)
            if reach is not None:
                set_dropouts(self._model, reach, hyper)
            self._known, self._weights = _initial_weights(self._model, pretrained)
            if vocabulary is not None and _embedding(self._model) in pretrained.weights:
                self._weights = prune_embedding(self._model, self._weights, vocabulary)
            self._model.to(self.device)
            self._key = key
        reset_weights(self._model, self._weights, self._known, seed)
        return self._model

    def _reach_of(self, pretrained: Pretrained, hyper: Hyperparameters) -> DropoutReach | None:
        """Return what the trial's dropout settings reach; None where it has none.

        Raises:
            InputError: some of them reach nothing.
        """
        if all(getattr(hyper, field) is None for field in FIELDS):
            return None
        shapes = hyper.config_overrides()
        key = (pretrained.digest, repr(sorted(shapes.items())))
        if key != self._reach[0]:
            config = {**pretrained.config, **shapes}
            self._reach = (key, find_dropout_reach(config, pretrained.head))
        reach = self._reach[1]
        problems = [
            Problem(location=field, text=f"of '{pretrained.name}': {text}")
            for field, text in reach.unreached(hyper).items()
        ]
        if problems:
            raise InputError(pretrained.name, problems)
        return reach


def _settings(reach: DropoutReach | None, hyper: Hyperparameters) -> dict[str, Any]:
    """What a configuration overrides, in the names of the architecture: dropouts and shapes."""
    return hyper.config_overrides() | (reach.overrides(hyper) if reach else {})


def _build(
    pretrained: Pretrained, settings: dict[str, Any], hyper: Hyperparameters
) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model({**pretrained.config, **settings}, pretrained.head)
    if pretrained.head in FIRST_TOKEN:
        read_first_token(model)
    if hyper.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def _initial_weights(
    model: torch.nn.Module, pretrained: Pretrained
) -> tuple[set[str], dict[str, torch.Tensor]]:
    """What every trial's weights start from: the pretrained arrays as tensors without a copy, and
    as constructed what they lack, for the architectures that do not draw all of it anew.

    An array of another shape than the configuration's is lacking.
    """
    state = model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of read-only arrays: they are only read
        given = {name: torch.from_numpy(array) for name, array in pretrained.weights.items()}
    known = {n: x for n, x in given.items() if n in state and x.shape == state[n].shape}
    return set(known), known | {n: x.clone() for n, x in state.items() if n not in known}


def _embedding(model: torch.nn.Module) -> str:
    """The name of the word embedding's weights."""
    weight = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is weight)


@torch.no_grad()
def reset_weights(
    model: torch.nn.Module, weights: dict[str, torch.Tensor], known: set[str], seed: int
) -> None:
    """Copy the weights in, then draw those that are not known, from the seed, as the architecture
    does."""
    for name, tensor in model.state_dict(keep_vars=True).items():
        tensor.copy_(weights[name])
        tensor._is_hf_initialized = name in known
        tensor.grad = None
    for module in model.modules():
        if hasattr(module, "_is_hf_initialized"):
            del module._is_hf_initialized
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.initialize_weights()


def export_weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The model's weights as float32 arrays, copied; shared tensors once under each name."""
    weights = full_state_dict(model).items()
    return {name: x.detach().float().cpu().numpy().copy() for name, x in weights}
