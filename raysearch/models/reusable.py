"""A worker's model, built once and reset to its pretrained weights for each trial.

It is apart from `pretrained` because it lives on a device and holds state between trials.
"""

import hashlib
import warnings
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..tasks import HEAD_FACTS
from .adapter_weights import is_adapter
from .attention_masks import tell_padding
from .auto_models import build_model
from .dropout_masks import use_cpu_dropout
from .dropouts import FIELDS, DropoutReach, find_dropout_reach, set_dropouts
from .first_token_only import keep_first_token_only
from .lora import adapt, draw_adapters, frozen_names, set_adapters
from .pretrained import Pretrained
from .pruned_embedding import full_state_dict, prune_embedding
from .unpadded import can_be_unpadded


class ReusableModel:
    """A model in memory that is built once and reset for every trial.

    Args:
        device: where the model lives.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._key: tuple[Any, ...] | None = None  # what the model was built from
        self._model: PreTrainedModel | None = None
        self._weights: dict[str, torch.Tensor] = {}
        self._pretrained_names: set[str] = set()
        self._reach_key: tuple[str, str] | None = None
        self._reach: DropoutReach | None = None

    def model(
        self,
        pretrained: Pretrained,
        hyper: Hyperparameters,
        seed: int,
        vocabulary: np.ndarray | None = None,
    ) -> PreTrainedModel:
        """Return the model at the start of a trial: pretrained weights, the rest drawn.

        The result does not depend on earlier trials.

        Args:
            pretrained: configuration and weights.
            hyper: the trial's hyperparameters.
            seed: of the weights that are drawn.
            vocabulary: the only token ids that the trial will look up, sorted; None: any.

        Raises:
            InputError: some of the dropout settings reach nothing in the model.
        """
        reach = self._dropout_reach(pretrained, hyper)
        settings = _config_overrides(reach, hyper)
        digest = None if vocabulary is None else hashlib.sha256(vocabulary.tobytes()).digest()
        key = (
            pretrained.digest,
            hyper.gradient_checkpointing,
            repr(sorted(settings.items())),
            tuple(getattr(hyper, field) for field in FIELDS),
            digest,
            hyper.lora_rank and hyper.lora_targets,
        )
        model = self._model
        if model is None or key != self._key:
            self._key, self._model, model = None, None, None  # frees the memory of the old model
            model = build_trial_model(pretrained, settings, hyper)
            if hyper.lora_rank:
                adapt(model, hyper)
            if self.device.type == "cpu":
                built: Any = model
                built.can_be_unpadded = can_be_unpadded(model)
                use_cpu_dropout(model)
            if reach is not None:
                set_dropouts(model, reach, hyper)
            self._pretrained_names, self._weights = _initial_weights(model, pretrained)
            _refuse_drawn(frozen_names(model) - self._pretrained_names, pretrained)
            if vocabulary is not None and _embedding_name(model) in pretrained.weights:
                self._weights = prune_embedding(model, self._weights, vocabulary)
            model.to(self.device)  # type: ignore[arg-type]  # transformers decorates `to`
            self._key, self._model = key, model
        elif hyper.lora_rank:
            set_adapters(model, hyper)
        reset_weights(model, self._weights, self._pretrained_names, seed)
        if frozen := frozen_names(model):  # they never change: the next trial copies the others
            self._weights = {n: x for n, x in self._weights.items() if n not in frozen}
        return model

    def _dropout_reach(self, pretrained: Pretrained, hyper: Hyperparameters) -> DropoutReach | None:
        """Return what the trial's dropout settings reach; None if it has no such settings.

        Raises:
            InputError: some of them reach nothing.
        """
        if all(getattr(hyper, field) is None for field in FIELDS):
            return None
        overrides = hyper.config_overrides()
        key = (pretrained.digest, repr(sorted(overrides.items())))
        if self._reach is None or key != self._reach_key:
            config = {**pretrained.config, **overrides}
            self._reach = find_dropout_reach(config, pretrained.head)
            self._reach_key = key
        problems = [
            Problem(location=field, text=f"of '{pretrained.name}': {text}")
            for field, text in self._reach.unreached(hyper).items()
        ]
        if problems:
            raise InputError(pretrained.name, problems)
        return self._reach


def _config_overrides(reach: DropoutReach | None, hyper: Hyperparameters) -> dict[str, Any]:
    """Return the fields of the architecture's configuration that a trial overrides."""
    return hyper.config_overrides() | (reach.overrides(hyper) if reach else {})


def build_trial_model(
    pretrained: Pretrained, settings: dict[str, Any], hyper: Hyperparameters
) -> PreTrainedModel:
    """Return a trial's model, its weights as constructed.

    Args:
        pretrained: configuration and head.
        settings: fields that override the configuration's.
        hyper: the trial's hyperparameters.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model({**pretrained.config, **settings}, pretrained.head)
    if HEAD_FACTS[pretrained.head].reads_first_token:
        keep_first_token_only(model)
    tell_padding(model)
    if hyper.gradient_checkpointing:
        options = {"use_reentrant": False}
        model.gradient_checkpointing_enable(options)  # type: ignore[no-untyped-call]  # not typed
    return model


def _initial_weights(
    model: PreTrainedModel, pretrained: Pretrained
) -> tuple[set[str], dict[str, torch.Tensor]]:
    """Return the names of the pretrained weights, and the weights that every trial starts from.

    Pretrained arrays become tensors without a copy; an array whose shape is not the configuration's
    is ignored. All other weights are as constructed, for architectures that do not draw each of
    them in `initialize_weights`.
    """
    state = model.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of read-only arrays: they are only read
        arrays = {name: torch.from_numpy(array) for name, array in pretrained.weights.items()}
    known = {n: x for n, x in arrays.items() if n in state and x.shape == state[n].shape}
    others = (name for name in state if name not in known and not is_adapter(name))
    return set(known), known | {name: state[name].clone() for name in others}


def _refuse_drawn(names: set[str], pretrained: Pretrained) -> None:
    """Raise InputError if weights that are frozen would be drawn."""
    if names:
        text = f"of '{pretrained.name}': {len(names):,} weights that adapters freeze are not"
        text = f"{text} pretrained, such as {min(names)}"
        raise InputError(pretrained.name, [Problem(location="lora_rank", text=text)])


def _embedding_name(model: PreTrainedModel) -> str:
    """Return the parameter name of the word embedding."""
    weight = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is weight)


@torch.no_grad()
def reset_weights(
    model: PreTrainedModel, weights: dict[str, torch.Tensor], known: set[str], seed: int
) -> None:
    """Copy weights into a model, then draw the unknown ones as the architecture does.

    Args:
        model: changed in place.
        weights: name -> tensor, for the entries of the model's state dict that training or a draw
            can change.
        known: names of the weights that are not drawn.
        seed: of the draw.
    """
    for name, tensor in model.state_dict(keep_vars=True).items():
        if name in weights:
            tensor.copy_(weights[name])
        tensor._is_hf_initialized = name in known
        tensor.grad = None
    for module in model.modules():
        if hasattr(module, "_is_hf_initialized"):
            del module._is_hf_initialized
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.initialize_weights()  # type: ignore[no-untyped-call]  # not typed
        draw_adapters(model)


def export_weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return copies of the weights that a model's training changes, as float32 arrays.

    They are all its weights; with adapters those of adapters and head. Shared tensors are there
    under each name.
    """
    frozen = frozen_names(model)
    weights = model.state_dict() if frozen else full_state_dict(model)
    return {
        name: x.detach().float().cpu().numpy().copy()
        for name, x in weights.items()
        if name not in frozen
    }
