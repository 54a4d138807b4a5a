"""What the dropout settings of a study reach in a built model.

A model is built once on the meta device, with a different value for each dropout of its
configuration. The values that its modules then hold tell which modules a field of the configuration
reaches, and where these are: in the head, on attention weights, or elsewhere in the encoder. So no
table of model families is needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ..heads.span_modeling import ConditionalSpanHead
from ..recipes import Hyperparameters
from ..tasks import Head
from .auto_models import build_model
from .layer_depths import fill_with_zeros, sample_text

FIELDS = ("dropout", "attention_dropout", "classifier_dropout")
# Rates of a configuration that drop whole layers or paths, not single values.
_OTHER_RATES = ("layerdrop", "layer_drop", "drop_path", "path_drop")
_Dropout = nn.modules.dropout._DropoutNd


@dataclass(frozen=True, kw_only=True)
class DropoutPlace:
    """One dropout of a model: a module, and the attribute that holds its probability.

    Attributes:
        module: the module's name in the model.
        attribute: `p` of an nn.Dropout, or the attribute of a module that drops values itself.
        key: the field of the configuration that it takes its value from; "" if it takes none.
        field: the hyperparameter that sets it; "" if it keeps the model's own value.
    """

    module: str
    attribute: str
    key: str
    field: str


@dataclass(frozen=True, kw_only=True)
class DropoutReach:
    """The dropouts of a model that the dropout settings reach.

    Attributes:
        model: name of the model's class.
        places: every dropout of the model.
        shared: whether attention weights and hidden layers have one dropout.
        later: fields of the configuration that no module has taken yet and attention may take later
            (BigBird changes its attention with the length of a text).
    """

    model: str
    places: tuple[DropoutPlace, ...]
    shared: bool
    later: tuple[str, ...] = ()

    def of(self, field: str) -> list[DropoutPlace]:
        """Return the dropouts that a hyperparameter sets."""
        return [place for place in self.places if place.field == field]

    def overrides(self, hyper: Hyperparameters) -> dict[str, float]:
        """Return the configuration's fields that the settings override, with their values.

        A field that reaches hidden layers may reach the head as well, if the head has no field of
        its own; a field that reaches hidden layers is not set for the head.
        """
        values: dict[str, float] = {}
        for field in reversed(FIELDS):
            if (value := getattr(hyper, field)) is None:
                continue
            keys = {place.key for place in self.of(field)}
            if field == "attention_dropout":
                keys |= set(self.later)
            if field != "dropout":
                keys -= {place.key for place in self.places if place.field != field}
            values |= {key: float(value) for key in sorted(keys) if key}
        return values

    def unreached(self, hyper: Hyperparameters) -> dict[str, str]:
        """Return the settings of a trial that the model cannot take: hyperparameter -> why.

        A rate of 0 is accepted for a dropout that the model lacks. One dropout of attention and
        hidden layers accepts both settings if they are equal.
        """
        reasons = {field: self.lack(field) for field in FIELDS if getattr(hyper, field) is not None}
        if self.shared and hyper.attention_dropout == hyper.dropout:
            reasons.pop("attention_dropout", None)
        return {
            field: reason
            for field, reason in reasons.items()
            if reason and (getattr(hyper, field) != 0 or self._is_shared(field))
        }

    def _is_shared(self, field: str) -> bool:
        """Return whether a hyperparameter's only dropout is the one of hidden layers."""
        return field == "attention_dropout" and self.shared and not self.of(field)

    def lack(self, field: str) -> str:
        """Return why a hyperparameter reaches nothing in the model; "" if it reaches something."""
        if self.of(field) or (field == "attention_dropout" and self.later):
            return ""
        if self._is_shared(field):
            text = f"{self.model} has one dropout for attention and hidden layers"
            return f"{text}: set dropout alone, or both to one value"
        counts = {name: len(self.of(name)) for name in FIELDS if self.of(name)}
        has = ", ".join(f"{name} reaches {count}" for name, count in counts.items())
        parts = {"classifier_dropout": "in its head", "attention_dropout": "of attention weights"}
        part = parts.get(field, "in its hidden layers")
        return (
            f"{self.model} has no dropout {part}, so this changes nothing "
            f"({has or 'it has none'}): leave it out"
        )


def find_dropout_reach(config: Mapping[str, Any], head: Head) -> DropoutReach:
    """Return what the dropout settings reach in the model of a configuration with a task's head.

    Args:
        config: transformers' configuration as a dict.
        head: the task's head.
    """
    keys = [name for name, value in config.items() if _is_rate(name, value)]
    # A different rate for each field, by which it is recognized in the modules.
    rates = {name: 0.25 + (index + 1) / 2**12 for index, name in enumerate(keys)}
    with torch.device("meta"):
        model = build_model({**config, **rates}, head)
    children = head_names(model)
    dropouts = list(_dropouts(model, {rate: name for name, rate in rates.items()}))
    in_pooler = [_is_in_pooler(model, name) for name, *_ in dropouts]
    in_head = [name.split(".")[0] in children for name, *_ in dropouts]
    pooler_alone = all(pooler for pooler, above in zip(in_pooler, in_head, strict=True) if above)
    unread = _unread_dropouts(model, children)  # changes the model: from here on it is not run
    places = tuple(
        DropoutPlace(
            module=name,
            attribute=attribute,
            key=key,
            field=""
            if name in unread
            else _field(model, name, key, children, keep=pooler and not pooler_alone),
        )
        for pooler, (name, attribute, key) in zip(in_pooler, dropouts, strict=True)
    )
    later = {key for key in keys if "att" in key.lower()} - {place.key for place in places}
    if not hasattr(model.base_model, "set_attention_type"):  # its attention never changes
        later = set()
    return DropoutReach(
        model=type(model).__name__,
        places=places,
        shared=_is_attention_shared(model, places),
        later=tuple(sorted(later)),
    )


def _is_attention_shared(model: nn.Module, places: tuple[DropoutPlace, ...]) -> bool:
    """Return whether attention has no dropout but one that `dropout` sets."""
    if any(place.field == "attention_dropout" for place in places):
        return False
    hidden = [place.module for place in places if place.field == "dropout"]
    owners = {*hidden, *(name.rpartition(".")[0] for name in hidden)}
    return any("attention" in type(model.get_submodule(n)).__name__.lower() for n in owners)


class _RecordedDropout(nn.Dropout):
    """A dropout that records whether its probability was read.

    Its own forward pass reads it, or another module, such as attention that drops its weights
    itself.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "p":
            self.__dict__["was_read"] = True
        return super().__getattribute__(name)


def _unread_dropouts(model: PreTrainedModel, children: set[str]) -> set[str]:
    """Return the dropouts of an encoder whose probability its forward pass never reads.

    Some models build an attention dropout and do not use it (Nystromformer, YOSO, MRA). Only
    modules that the pass calls are considered, as others may be called in other situations. The
    pass runs on the meta device, or with all values zero if it needs values. If it fails in both
    ways, the result is empty.

    Args:
        model: on the meta device; its dropouts and the values of its encoder are changed.
        children: names of the model's children that make its head.
    """
    modules = dict(model.named_modules())
    recorded = {
        name: module
        for name, module in modules.items()
        if type(module) is nn.Dropout and name.split(".")[0] not in children
    }
    for module in recorded.values():
        module.__class__ = _RecordedDropout
    called: set[nn.Module] = set()
    for module in modules.values():
        module.register_forward_pre_hook(lambda module, _: called.add(module))
    if not any(_runs(model.base_model, device) for device in ("meta", "cpu")):
        return set()
    unread = {name for name, module in recorded.items() if "was_read" not in vars(module)}
    return {name for name in unread if modules[name.rpartition(".")[0]] in called}


def _runs(encoder: Any, device: str) -> bool:
    """Run an encoder on a short text; return whether it raised no error."""
    if device == "cpu":
        fill_with_zeros(encoder)
    text = {name: values.to(device) for name, values in sample_text(encoder.config).items()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            encoder.train()(**text)
    except Exception:  # the pass needs values, or the family is called in another way
        return False
    return True


def set_dropouts(model: nn.Module, reach: DropoutReach, hyper: Hyperparameters) -> None:
    """Set every dropout that a setting reaches to the setting's value.

    Args:
        model: changed in place.
        reach: of the settings in this model.
        hyper: the settings.
    """
    modules = dict(model.named_modules())
    for place in reach.places:
        value = getattr(hyper, place.field) if place.field else None
        module = modules.get(place.module)
        # With a rate of 0 in the configuration, a model may have an nn.Identity in this place.
        if module is not None and value is not None and hasattr(module, place.attribute):
            setattr(module, place.attribute, float(value))


def head_names(model: PreTrainedModel) -> set[str]:
    """Return the names of a model's children that are not part of its encoder.

    Args:
        model: a model with a head.
    """
    encoder = model.base_model
    if encoder is not model:
        return {name for name, child in model.named_children() if child is not encoder}
    return {name for name, child in model.named_children() if not _is_encoder_part(child)}


def _is_encoder_part(child: nn.Module) -> bool:
    """Return whether a child of a model holds embeddings or layers."""
    return any(isinstance(module, nn.Embedding | nn.ModuleList) for module in child.modules())


def _is_rate(name: str, value: Any) -> bool:
    """Return whether a field of a configuration is the probability of a dropout."""
    if "drop" not in name or any(part in name for part in _OTHER_RATES) or isinstance(value, bool):
        return False
    return value is None or (isinstance(value, int | float) and 0 <= value < 1)


def _dropouts(model: nn.Module, fields: Mapping[float, str]) -> Iterator[tuple[str, str, str]]:
    """Yield every dropout of a model: module, attribute, field of the configuration.

    `fields` are the configuration's, by the rates that they were given.
    """
    for name, module in model.named_modules():
        if isinstance(module, _Dropout):
            yield name, "p", fields.get(module.p, "")
            continue
        for attribute, value in vars(module).items():
            if "drop" in attribute and isinstance(value, float) and value in fields:
                yield name, attribute, fields[value]


def _field(model: nn.Module, name: str, key: str, children: set[str], *, keep: bool) -> str:
    """Return the hyperparameter that sets a dropout; "" if the model's own value stays.

    An activation's dropout stays, as fairseq has a setting of its own for it. So does the dropout
    of a pooler before a head that has another one (DeBERTa's recipes set the head's alone).

    Args:
        model: a model with a head.
        name: the dropout's module.
        key: the field of the configuration that it takes its value from.
        children: names of the model's children that make its head.
        keep: whether a dropout in the head keeps its value.
    """
    child = name.split(".")[0]
    if child in children:
        replaced = isinstance(getattr(model, "qa_outputs", None), ConditionalSpanHead)
        unused = replaced and child != "qa_outputs"
        return "" if keep or unused else "classifier_dropout"
    if "att" in key.lower():
        return "attention_dropout"
    return "" if "activation" in key or "relu" in key else "dropout"


def _is_in_pooler(model: nn.Module, name: str) -> bool:
    """Return whether a module is part of a pooler."""
    parts = name.split(".")
    owners = (".".join(parts[:end]) for end in range(1, len(parts)))
    return any("Pooler" in type(model.get_submodule(owner)).__name__ for owner in owners)
