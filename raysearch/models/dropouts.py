"""What the dropout settings of a study reach in a built model.

A model is built once on torch's meta device with another value for each dropout of its
configuration. The values that its modules then hold tell which modules a name of the configuration
reaches, and where these stand: in the head, on attention weights, or elsewhere in the encoder. No
table of families is needed. It never computes with a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..recipes import Hyperparameters
from .heads import ConditionalSpanHead, build_model
from .layer_depths import fill_with_zeros, sample_text

FIELDS = ("dropout", "attention_dropout", "classifier_dropout")
# Rates of a configuration that drop whole layers or paths, not single values.
_OTHER = ("layerdrop", "layer_drop", "drop_path", "path_drop")
_Dropout = nn.modules.dropout._DropoutNd


@dataclass(frozen=True, kw_only=True)
class DropoutPlace:
    """One dropout of a model: a module, and the attribute that holds its probability.

    Attributes:
        module: the module's name in the model.
        attribute: `p` of an nn.Dropout, or that of a module which drops values itself.
        key: the name in the configuration that it takes its value from; "" where it takes none.
        field: the hyperparameter that sets it; "" where it keeps the model's own value.
    """

    module: str
    attribute: str
    key: str
    field: str


@dataclass(frozen=True, kw_only=True)
class DropoutReach:
    """What the dropout settings reach in a model.

    Attributes:
        model: name of the model's class.
        places: every dropout of the model.
        shared: attention weights and hidden layers have one dropout.
        later: names of the configuration that no module has taken yet and that attention may
            (BigBird changes its attention with the length of a text).
    """

    model: str
    places: tuple[DropoutPlace, ...]
    shared: bool
    later: tuple[str, ...] = ()

    def of(self, field: str) -> list[DropoutPlace]:
        """Return the places that a hyperparameter sets."""
        return [place for place in self.places if place.field == field]

    def overrides(self, hyper: Hyperparameters) -> dict[str, float]:
        """Return what a configuration overrides, in the names of the architecture.

        A name that reaches hidden layers may reach the head as well, where the head has no value
        of its own; one that reaches hidden layers is not set for the head.
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

        Zero is what a model without such a dropout has; one dropout of attention and hidden layers
        takes both settings where they are alike.
        """
        found = {field: self.lack(field) for field in FIELDS if getattr(hyper, field) is not None}
        if self.shared and hyper.attention_dropout == hyper.dropout:
            found.pop("attention_dropout", None)
        bare = [f for f in found if getattr(hyper, f) == 0 and not self._shares(f)]
        return {field: text for field, text in found.items() if text and field not in bare}

    def _shares(self, field: str) -> bool:
        return field == "attention_dropout" and self.shared and not self.of(field)

    def lack(self, field: str) -> str:
        """Return why a hyperparameter reaches nothing in the model; "" where it does reach."""
        if self.of(field) or (field == "attention_dropout" and self.later):
            return ""
        if self._shares(field):
            text = f"{self.model} has one dropout for attention and hidden layers"
            return f"{text}: set dropout alone, or both to one value"
        counts = {one: len(self.of(one)) for one in FIELDS if self.of(one)}
        names = {"classifier_dropout": "in its head", "attention_dropout": "of attention weights"}
        has = ", ".join(f"{one} reaches {count}" for one, count in counts.items()) or "it has none"
        where = names.get(field, "in its hidden layers")
        return f"{self.model} has no dropout {where}, so this changes nothing ({has}): leave it out"


def find_dropout_reach(config: Mapping[str, Any], head: str) -> DropoutReach:
    """Return what the dropout settings reach in the model of a configuration with a task's head.

    Args:
        config: transformers' configuration as a dict.
        head: the task's head.
    """
    keys = [name for name, value in config.items() if _is_rate(name, value)]
    marks = {name: 0.25 + (at + 1) / 2**12 for at, name in enumerate(keys)}
    with torch.device("meta"):
        model = build_model({**config, **marks}, head)
    names = {mark: name for name, mark in marks.items()}
    above = head_names(model)
    dropouts = list(_dropouts(model, names))
    pooled = [_is_pooler(model, name) for name, *_ in dropouts]
    only_pooled = all(pool for pool, (name, *_) in zip(pooled, dropouts, strict=True)
                      if name.split(".")[0] in above)  # fmt: skip
    unread = _unread(config, head)
    places = tuple(
        DropoutPlace(
            module=name,
            attribute=attribute,
            key=key,
            field=""
            if name in unread
            else _field(model, name, key, above, spared=pool and not only_pooled),
        )
        for pool, (name, attribute, key) in zip(pooled, dropouts, strict=True)
    )
    hidden = [place.module for place in places if place.field == "dropout"]
    owners = {*hidden, *(name.rpartition(".")[0] for name in hidden)}
    shared = not any(place.field == "attention_dropout" for place in places) and any(
        "attention" in type(model.get_submodule(name)).__name__.lower() for name in owners
    )
    later = {key for key in keys if "att" in key.lower()} - {place.key for place in places}
    if not hasattr(model.base_model, "set_attention_type"):  # none that could change its attention
        later = set()
    return DropoutReach(
        model=type(model).__name__, places=places, shared=shared, later=tuple(sorted(later))
    )


class _Recorded(nn.Dropout):
    """A dropout that notes when its probability is read, by its own forward pass or by another
    module's, as attention does that drops its weights itself."""

    def __getattribute__(self, name: str) -> Any:
        if name == "p":
            self.__dict__["was_read"] = True
        return super().__getattribute__(name)


def _unread(config: Mapping[str, Any], head: str) -> set[str]:
    """Return the dropouts of an encoder that its forward pass never looks at.

    Some models build an attention dropout and leave it (Nystromformer, YOSO, MRA). Only what the
    pass calls can tell: the rest of a model may be called at another time. The pass is made without
    values, or with zeros where it asks for some; of a model that cannot be run so either, nothing
    is known and nothing returned.
    """
    with torch.device("meta"):
        model = build_model(config, head)
    body = model.base_model
    above = head_names(model)
    modules = dict(model.named_modules())
    inside = {name: module for name, module in modules.items()
              if type(module) is nn.Dropout and name.split(".")[0] not in above}  # fmt: skip
    for module in inside.values():
        module.__class__ = _Recorded
    called: set[nn.Module] = set()
    for module in modules.values():
        module.register_forward_pre_hook(lambda module, _: called.add(module))
    if not any(_runs(body, device) for device in ("meta", "cpu")):
        return set()
    unread = {name for name, module in inside.items() if "was_read" not in vars(module)}
    return {name for name in unread if modules[name.rpartition(".")[0]] in called}


def _runs(body: nn.Module, device: str) -> bool:
    """Run an encoder on a short text, and return whether that went well."""
    if device == "cpu":
        fill_with_zeros(body)
    text = {name: values.to(device) for name, values in sample_text(body.config).items()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            body.train()(**text)
    except Exception:  # a pass that needs values, or a family with a way of its own to be called
        return False
    return True


def set_dropouts(model: nn.Module, reach: DropoutReach, hyper: Hyperparameters) -> None:
    """Give every dropout that a setting reaches the setting's value, in place."""
    modules = dict(model.named_modules())
    for place in reach.places:
        value = getattr(hyper, place.field) if place.field else None
        module = modules.get(place.module)
        # A rate of 0 in the configuration may have built no dropout, but an nn.Identity.
        if value is not None and hasattr(module, place.attribute):
            setattr(module, place.attribute, float(value))


def head_names(model: nn.Module) -> set[str]:
    """Return the names of a model's children that make its head: what is no part of the encoder."""
    body = model.base_model
    if body is not model:
        return {name for name, child in model.named_children() if child is not body}
    return {name for name, child in model.named_children() if not _encodes(child)}


def _encodes(child: nn.Module) -> bool:
    """Return whether a child of a model holds embeddings or layers."""
    return any(isinstance(module, nn.Embedding | nn.ModuleList) for module in child.modules())


def _is_rate(name: str, value: Any) -> bool:
    """Return whether a field of a configuration is the probability of a dropout."""
    if "drop" not in name or any(other in name for other in _OTHER) or isinstance(value, bool):
        return False
    return value is None or (isinstance(value, int | float) and 0 <= value < 1)


def _dropouts(model: nn.Module, names: Mapping[float, str]) -> Iterator[tuple[str, str, str]]:
    """Yield every dropout of a model: its module, the attribute, the configuration's name."""
    for name, module in model.named_modules():
        if isinstance(module, _Dropout):
            yield name, "p", names.get(module.p, "")
            continue
        for attribute, value in vars(module).items():
            if "drop" in attribute and isinstance(value, float) and value in names:
                yield name, attribute, names[value]


def _field(model: nn.Module, name: str, key: str, above: set[str], *, spared: bool) -> str:
    """Return the hyperparameter that sets a dropout; "" where the model's own value stays.

    An activation's dropout stays, as fairseq has a name of its own for it, and so does that of a
    pooler before a head that has another (DeBERTa's recipes set the latter alone).
    """
    top = name.split(".")[0]
    if top in above:
        replaced = isinstance(getattr(model, "qa_outputs", None), ConditionalSpanHead)
        idle = spared or (replaced and top != "qa_outputs")
        return "" if idle else "classifier_dropout"
    if "att" in key.lower():
        return "attention_dropout"
    return "" if "activation" in key or "relu" in key else "dropout"


def _is_pooler(model: nn.Module, name: str) -> bool:
    """Return whether a module is part of a pooler."""
    parts = name.split(".")
    owners = (".".join(parts[:end]) for end in range(1, len(parts)))
    return any("Pooler" in type(model.get_submodule(owner)).__name__ for owner in owners)
