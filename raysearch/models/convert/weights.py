"""A checkpoint's parameters, named as the model that takes them names them: all of them and of the
right shapes, or a list of what is wrong. What is left out is counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import InputError, Problem, unknown_name
from . import parameter_names
from .fairseq_checkpoint import Checkpoint
from .problem_texts import listed

KINDS = {
    "amos": "amos", "cocolm": "amos", "roberta": "roberta", "xlmr": "xlm-roberta",
    "cross-thought": "cross_thought",
}  # fmt: skip
# What all these models compute; a checkpoint whose arguments say otherwise would change in silence.
ONLY = {
    "activation_fn": "gelu", "pooler_activation_fn": "tanh", "hidden_act": "gelu",
    "layer_norm_type": "post",
}  # fmt: skip
FURTHEST = {32: 128, 64: 128, 128: 256}  # bins of AMOS's bias -> the distance of the last one
FARTHER = 2**16  # no distance between two tokens is larger
FEWEST_WORDS = 5  # start, padding, end, unknown, and the mask
HEAD_WIDTH = 64  # of an attention head, unless the arguments tell how many there are


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint in one spelling, without what no model takes.

    Attributes:
        family: one of `names.FAMILIES`.
        hub: whether it is named as in transformers: AMOS's or COCO-LM's folder.
        tensors: name -> tensor.
        spelled: name -> how the file spells it.
        head: name and kind of the head that is kept, if any.
        dropped: what was left out -> how many tensors of it.
        settings: plain values of the training's arguments.
    """

    family: str
    hub: bool
    tensors: dict[str, torch.Tensor]
    spelled: dict[str, str]
    head: tuple[str, str] | None
    dropped: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """transformers' name of the family."""
        return KINDS[self.family]

    @property
    def encoder(self) -> dict[str, str]:
        """Every parameter that its encoder needs: its name here -> its name in the model."""
        layers = max(1, parameter_names.count_layers(self.tensors, "layers"))
        crossing = parameter_names.count_layers(self.tensors, "crossthought_layers")
        return parameter_names.encoder(self.family, layers, crossing)

    @property
    def table(self) -> dict[str, str]:
        """Every parameter that must be there, the head's too."""
        return self.encoder | (parameter_names.head(*self.head) if self.head else {})


def describe_checkpoint(
    checkpoint: Checkpoint, *, family: str | None = None, head: str | None = None
) -> Source:
    """Spell the names in one way, tell the family, keep one head.

    Args:
        family: instead of the one that the tensors tell.
        head: which, where there are several.

    Raises:
        InputError: no such encoder, or it is not told which head.
    """
    hub = parameter_names.from_hub(checkpoint.tensors)
    tensors, spelled, dropped = _spell(checkpoint, hub)
    words = tensors.get("embed_tokens.weight")
    if words is None or words.dim() != 2:
        text = "no matrix of word embeddings, as encoder.sentence_encoder.embed_tokens.weight"
        raise refusal(checkpoint, [Problem(location="missing", text=text)])
    family = family or parameter_names.family(tensors, len(words))
    if hub and family not in parameter_names.RELATIVE:
        text = "they are those of transformers already; there is nothing to convert"
        raise refusal(checkpoint, [Problem(location="names", text=text)])
    if family not in parameter_names.RELATIVE:
        _split_projections(tensors, spelled)
    kept = _choose(checkpoint, family, parameter_names.heads(tensors), head)
    for name in list(tensors):
        own = parameter_names.head_of(name)
        if own and (kept is None or own != kept[0]):
            dropped[f"the head {own}"] += 1
            del tensors[name]
    if (output := tensors.pop("lm_head.weight", None)) is not None:
        if output.dtype != words.dtype or not torch.equal(output, words):
            text = f"{spelled['lm_head.weight']} is not the word embeddings: an output of its own"
            raise refusal(checkpoint, [Problem(location="lm_head", text=text)])
        dropped["the output's copy of the word embeddings"] += 1
    return Source(
        family=family, hub=hub, tensors=tensors, spelled=spelled, head=kept, dropped=dropped,
        settings=checkpoint.settings,
    )  # fmt: skip


def config_fields(source: Source) -> dict[str, Any]:
    """The model's configuration as the tensors tell it; heads are 64 wide unless they do.

    Raises:
        ValueError: no model can have these shapes or arguments.
        LookupError: a tensor is missing that tells of them.
    """
    of, amos = source.tensors, source.family in parameter_names.RELATIVE
    rows, width = of["embed_tokens.weight"].shape
    positions = of["embed_positions.weight"].shape[0]
    fewest = 3 if amos else 5  # a start, a token, an end; behind the padding's id
    if rows < FEWEST_WORDS or not width or positions < fewest:
        raise ValueError(
            f"{rows:,} words of {width:,} numbers and {positions:,} positions; at least "
            f"{FEWEST_WORDS} words and {fewest} positions would do"
        )
    fields = {
        "vocab_size": rows,
        "hidden_size": width,
        "num_hidden_layers": max(1, parameter_names.count_layers(of, "layers")),
        "num_attention_heads": _heads(source, width),
        "intermediate_size": of["layers.0.fc1.weight"].shape[0],
        "max_position_embeddings": positions,
        "layer_norm_eps": 1e-5,
    }
    if amos:
        bins, heads = of["relative_attention_bias.weight"].shape
        furthest = _whole(source, "max_rel_pos", FURTHEST.get(bins, 2 * bins), FARTHER)
        fields |= {"num_attention_heads": heads, "rel_pos_bins": bins, "max_rel_pos": furthest}
        style = ("gelu", "normal") if source.hub else ("tanh", "default")
        fields |= dict(zip(("head_activation", "head_init"), style, strict=True))
    else:
        fields["type_vocab_size"] = 1
    if source.family == "cross-thought":
        fields["cross_layers"] = parameter_names.count_layers(of, "crossthought_layers")
    if source.head and source.head[1] == "classify":
        name = f"classification_heads.{source.head[0]}.out_proj.weight"
        fields["num_labels"] = len(of[name])
        if not fields["num_labels"]:
            raise ValueError(f"{source.spelled[name]} has no class")
    return fields


def _heads(source: Source, width: int) -> int:
    """Return how many attention heads there are. Raises ValueError where it cannot be told."""
    if source.family in parameter_names.RELATIVE:  # each has a column of its own
        return 1
    if "encoder_attention_heads" not in source.settings and width % HEAD_WIDTH:
        text = f"no encoder_attention_heads in the arguments, and heads of {HEAD_WIDTH}"
        raise ValueError(f"{text} do not divide the width of {width}")
    heads = _whole(source, "encoder_attention_heads", width // HEAD_WIDTH, width)
    if width % heads:
        raise ValueError(f"{heads} attention heads, which do not divide the width of {width}")
    return heads


def _whole(source: Source, name: str, default: int, most: int) -> int:
    """Return a whole number from the arguments. Raises ValueError for anything else."""
    value = source.settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r:.60}, not a whole number from 1 to {most:,}")
    return value


def name_weights(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The parameters under the model's names. Those that share one are its rows, in order."""
    weights: dict[str, list[torch.Tensor]] = {name: [] for name in shapes}
    for name, target in source.table.items():
        weights[target].append(source.tensors[name])
    return {n: found[0] if len(found) == 1 else torch.cat(found) for n, found in weights.items()}


def checkpoint_problems(source: Source) -> list[Problem]:
    """Parameters that are missing, those that nobody knows, arguments of another computation."""
    table = source.table
    missing = [table[n] if source.hub else n for n in table if n not in source.tensors]
    unexpected = [source.spelled[n] for n in source.tensors if n not in table]
    others = [
        Problem(
            location=name, text=f"is {source.settings[name]!r:.60}; only {only!r} can be converted"
        )
        for name, only in ONLY.items()
        if source.settings.get(name, only) != only
    ]
    empty = [
        source.spelled[n] for n in table if n in source.tensors and not source.tensors[n].numel()
    ]
    flat = [
        f"{source.spelled[name]} {list(source.tensors[name].shape)}, not a matrix"
        for name in table
        if name.endswith(".weight") and "norm" not in name
        if name in source.tensors and source.tensors[name].dim() != 2
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "misshapen": flat, "empty": empty}
    return [listed(kind, those) for kind, those in kinds.items() if those] + others


def shape_problems(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> list[Problem]:
    """Parameters that the model wants otherwise, and those that are no floating-point numbers."""
    sharing = Counter(source.table.values())
    wrong = []
    for name, target in source.table.items():
        if name not in source.tensors:
            continue
        tensor, (rows, *rest) = source.tensors[name], shapes[target]
        should = (rows // sharing[target], *rest)
        if tuple(tensor.shape) != should:
            wrong.append(f"{source.spelled[name]} {list(tensor.shape)}, not {list(should)}")
        elif not tensor.is_floating_point() or tensor.layout != torch.strided:
            wrong.append(f"{source.spelled[name]} of {tensor.dtype}, not dense floating-point")
    return [listed("misshapen", wrong)] if wrong else []


def value_problems(source: Source) -> list[Problem]:
    """Return the parameters with values that are no numbers, or none of float32."""
    wrong = []
    for name in source.table:
        tensor = source.tensors[name].detach()
        lost = tensor.numel() - int(torch.isfinite(tensor.float()).sum())
        if lost:
            kind = (
                "NaN or infinite" if lost > _beyond(tensor) else f"beyond float32, {tensor.dtype}"
            )
            wrong.append(f"{source.spelled[name]} {list(tensor.shape)}: {lost:,} values {kind}")
    return [listed("not finite", wrong)] if wrong else []


def _beyond(tensor: torch.Tensor) -> int:
    """Return how many finite values float32 cannot hold."""
    return int((torch.isfinite(tensor) & ~torch.isfinite(tensor.float())).sum())


def refusal(checkpoint: Checkpoint, problems: list[Problem]) -> InputError:
    """An error of this checkpoint."""
    return InputError(str(checkpoint.path), problems)


def _spell(
    checkpoint: Checkpoint, hub: bool
) -> tuple[dict[str, torch.Tensor], dict[str, str], Counter[str]]:
    """The tensors, and how the file spells them, by their names in one spelling; what was left."""
    tensors, spelled, twice, dropped = {}, {}, [], Counter()
    for given, tensor in checkpoint.tensors.items():
        name = parameter_names.transformers_name(given, hub=hub)
        if what := parameter_names.is_dropped(name):
            dropped[what] += 1
            continue
        if name in tensors:
            twice.append(f"{spelled[name]} and {given}")
        tensors[name], spelled[name] = tensor, given
    if twice:
        raise refusal(checkpoint, [listed("one parameter twice", twice)])
    return tensors, spelled, dropped


def _split_projections(tensors: dict[str, torch.Tensor], spelled: dict[str, str]) -> None:
    """One projection for queries, keys and values, as fairseq had it until 0.9, becomes three."""
    for name in [n for n in tensors if ".in_proj." in n]:
        for part, rows in zip("qkv", tensors.pop(name).chunk(3), strict=False):
            own = name.replace("in_proj", f"{part}_proj")
            tensors[own], spelled[own] = rows, spelled[name]


def _choose(
    checkpoint: Checkpoint, family: str, heads: dict[str, str], wanted: str | None
) -> tuple[str, str] | None:
    """The head to keep: the wanted one, the only one of a task, or that of masked words."""
    if family in parameter_names.RELATIVE:
        heads = {name: kind for name, kind in heads.items() if kind != "masked"}
    if wanted is not None:
        if wanted not in heads:
            text = unknown_name("head", wanted, heads) if heads else "it has no head"
            raise refusal(checkpoint, [Problem(location="--head", text=text)])
        return wanted, heads[wanted]
    of_tasks = {name: kind for name, kind in heads.items() if kind != "masked"} or heads
    if len(of_tasks) > 1:
        text = f"a folder holds one head; --head names one of: {', '.join(of_tasks)}"
        raise refusal(checkpoint, [Problem(location="--head", text=text)])
    return next(iter(of_tasks.items()), None)
