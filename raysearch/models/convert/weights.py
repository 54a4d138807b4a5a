"""The parameters of a checkpoint under the names of the model, and what is wrong with them.

It is apart from the reading of files because it knows the models, and from `parameter_names`
because it looks at tensors.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import InputError, Problem
from . import parameter_names
from .fairseq_checkpoint import Checkpoint
from .head_choice import choose_head
from .problem_texts import listed

# Family -> its `model_type` in transformers.
KINDS = {
    "amos": "amos",
    "cocolm": "amos",
    "roberta": "roberta",
    "xlmr": "xlm-roberta",
    "cross-thought": "cross_thought",
}
# Arguments of training, and the only values for which these models compute the same as fairseq's.
REQUIRED = {
    "activation_fn": "gelu",
    "pooler_activation_fn": "tanh",
    "hidden_act": "gelu",
    "layer_norm_type": "post",
}
MAX_DISTANCES = {32: 128, 64: 128, 128: 256}  # bins of AMOS's bias -> distance of the last bin
LARGEST_DISTANCE = 2**16  # between two tokens
MIN_TOKENS = 5  # start, padding, end, unknown, and the mask
HEAD_WIDTH = 64  # of an attention head, unless the arguments tell the number of heads


@dataclass(frozen=True, kw_only=True)
class Source:
    """A checkpoint in fairseq's spelling, without the parameters that no model takes.

    Attributes:
        family: one of `parameter_names.FAMILIES`.
        hub: whether the file has the names of transformers, as AMOS's or COCO-LM's folder has.
        tensors: name -> tensor.
        file_names: name -> name in the file.
        head: name and kind of the head that is kept, if any.
        dropped: what was left out -> the number of its tensors.
        settings: plain values of the arguments of training.
    """

    family: str
    hub: bool
    tensors: dict[str, torch.Tensor]
    file_names: dict[str, str]
    head: tuple[str, str] | None
    dropped: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Return the family's `model_type` in transformers."""
        return KINDS[self.family]

    @property
    def encoder(self) -> dict[str, str]:
        """Return every parameter that the encoder needs: its name here -> its name in the model."""
        layers = max(1, parameter_names.count_layers(self.tensors, "layers"))
        cross_layers = parameter_names.count_layers(self.tensors, "crossthought_layers")
        return parameter_names.encoder(self.family, layers, cross_layers)

    @property
    def table(self) -> dict[str, str]:
        """Return every parameter that must be there, those of the head included, as `encoder`."""
        relative = self.family in parameter_names.RELATIVE
        head = parameter_names.head(*self.head, relative=relative) if self.head else {}
        return self.encoder | head


def describe_checkpoint(
    checkpoint: Checkpoint,
    *,
    family: str | None = None,
    head: str | None = None,
    head_kind: str | None = None,
) -> Source:
    """Bring the names into one spelling, determine the family and keep one head.

    Args:
        checkpoint: the content of the file.
        family: the family; None: it is determined from the tensors.
        head: the head to keep; needed if there are several.
        head_kind: what a head with one output does, see `head_choice.choose_head`.

    Raises:
        InputError: it has no such encoder, or several heads of which none is chosen.
    """
    hub = parameter_names.has_transformers_names(checkpoint.tensors)
    tensors, file_names, dropped = _rename(checkpoint, hub)
    words = tensors.get("embed_tokens.weight")
    if words is None or words.dim() != 2:
        text = "no matrix of word embeddings, as encoder.sentence_encoder.embed_tokens.weight"
        raise refusal(checkpoint, [Problem(location="missing", text=text)])
    family = family or parameter_names.family(tensors, len(words))
    if hub and family not in parameter_names.RELATIVE:
        text = "they are those of transformers already; there is nothing to convert"
        raise refusal(checkpoint, [Problem(location="names", text=text)])
    if family not in parameter_names.RELATIVE:
        _split_projections(tensors, file_names)
    chosen = choose_head(checkpoint, family, tensors, hub=hub, name=head, head_kind=head_kind)
    for name in list(tensors):
        head_name = parameter_names.head_of(name)
        if head_name and (chosen is None or head_name != chosen[0]):
            dropped[f"the head {head_name}"] += 1
            del tensors[name]
    if (output := tensors.pop("lm_head.weight", None)) is not None:
        if output.dtype != words.dtype or not torch.equal(output, words):
            name = file_names["lm_head.weight"]
            text = f"{name} is not the word embeddings: an output of its own"
            raise refusal(checkpoint, [Problem(location="lm_head", text=text)])
        dropped["the output's copy of the word embeddings"] += 1
    return Source(
        family=family,
        hub=hub,
        tensors=tensors,
        file_names=file_names,
        head=chosen,
        dropped=dropped,
        settings=checkpoint.settings,
    )


def config_fields(source: Source) -> dict[str, Any]:
    """Return the fields of the model's configuration, determined from the shapes of the tensors.

    Attention heads have a width of 64, unless the shapes or the arguments of training tell it.

    Raises:
        ValueError: no model can have these shapes or arguments.
        LookupError: a tensor is missing whose shape is needed.
    """
    tensors, relative = source.tensors, source.family in parameter_names.RELATIVE
    rows, width = tensors["embed_tokens.weight"].shape
    positions = tensors["embed_positions.weight"].shape[0]
    min_positions = 3 if relative else 5  # a start, a token, an end; after the padding's id
    if rows < MIN_TOKENS or not width or positions < min_positions:
        raise ValueError(
            f"{rows:,} words of {width:,} numbers and {positions:,} positions; at least "
            f"{MIN_TOKENS} words and {min_positions} positions would do"
        )
    fields: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": width,
        "num_hidden_layers": max(1, parameter_names.count_layers(tensors, "layers")),
        "num_attention_heads": _count_attention_heads(source, width),
        "intermediate_size": tensors["layers.0.fc1.weight"].shape[0],
        "max_position_embeddings": positions,
        "layer_norm_eps": 1e-5,
    }
    if relative:
        bins, heads = tensors["relative_attention_bias.weight"].shape
        default = MAX_DISTANCES.get(bins, 2 * bins)
        distance = _integer_setting(source, "max_rel_pos", default, LARGEST_DISTANCE)
        fields |= {"num_attention_heads": heads, "rel_pos_bins": bins, "max_rel_pos": distance}
        fields["head_activation"] = "gelu" if source.hub else "tanh"
        fields["head_init"] = "normal" if source.hub else "default"
    else:
        fields["type_vocab_size"] = 1
    if source.family == "cross-thought":
        fields["cross_layers"] = parameter_names.count_layers(tensors, "crossthought_layers")
    if source.head and source.head[1] == "classify":
        name = f"classification_heads.{source.head[0]}.out_proj.weight"
        fields["num_labels"] = len(tensors[name])
        if not fields["num_labels"]:
            raise ValueError(f"{source.file_names[name]} has no class")
    return fields


def _count_attention_heads(source: Source, width: int) -> int:
    """Return the number of attention heads.

    For relative positions it is determined elsewhere: the bias has a column for each head.

    Raises:
        ValueError: it cannot be determined.
    """
    if source.family in parameter_names.RELATIVE:
        return 1
    if "encoder_attention_heads" not in source.settings and width % HEAD_WIDTH:
        text = f"no encoder_attention_heads in the arguments, and heads of {HEAD_WIDTH}"
        raise ValueError(f"{text} do not divide the width of {width}")
    heads = _integer_setting(source, "encoder_attention_heads", width // HEAD_WIDTH, width)
    if width % heads:
        raise ValueError(f"{heads} attention heads, which do not divide the width of {width}")
    return heads


def _integer_setting(source: Source, name: str, default: int, maximum: int) -> int:
    """Return an integer from the arguments of training; raise ValueError for any other value."""
    value = source.settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise ValueError(f"{name} is {value!r:.60}, not a whole number from 1 to {maximum:,}")
    return value


def name_weights(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return the parameters under the model's names.

    Several parameters of the checkpoint that become one are its rows, in their order.

    Args:
        source: the checkpoint, without problems.
        shapes: of `target_model.parameter_shapes`.
    """
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in shapes}
    for name, target in source.table.items():
        parts[target].append(source.tensors[name])
    return {
        name: tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        for name, tensors in parts.items()
    }


def checkpoint_problems(source: Source) -> list[Problem]:
    """Return missing and unknown parameters, bad shapes, and arguments of another computation."""
    table = source.table
    present = {name: source.tensors[name] for name in table if name in source.tensors}
    missing = [table[n] if source.hub else n for n in table if n not in present]
    unexpected = [source.file_names[n] for n in source.tensors if n not in table]
    empty = [source.file_names[name] for name, tensor in present.items() if not tensor.numel()]
    misshapen = [
        f"{source.file_names[name]} {list(tensor.shape)}, not a matrix"
        for name, tensor in present.items()
        if name.endswith(".weight") and "norm" not in name and tensor.dim() != 2
    ]
    lists = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen, "empty": empty}
    other_computation = [
        Problem(
            location=name,
            text=f"is {source.settings[name]!r:.60}; only {required!r} can be converted",
        )
        for name, required in REQUIRED.items()
        if source.settings.get(name, required) != required
    ]
    return [listed(kind, names) for kind, names in lists.items() if names] + other_computation


def shape_problems(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> list[Problem]:
    """Return parameters of other shapes than the model's, and those that are not floating-point.

    Args:
        source: the checkpoint.
        shapes: of `target_model.parameter_shapes`.
    """
    parts = Counter(source.table.values())  # of each parameter of the model
    misshapen = []
    for name, target in source.table.items():
        if name not in source.tensors:
            continue
        tensor, (rows, *rest) = source.tensors[name], shapes[target]
        expected = (rows // parts[target], *rest)
        file_name = source.file_names[name]
        if tuple(tensor.shape) != expected:
            misshapen.append(f"{file_name} {list(tensor.shape)}, not {list(expected)}")
        elif not tensor.is_floating_point() or tensor.layout != torch.strided:
            misshapen.append(f"{file_name} of {tensor.dtype}, not dense floating-point")
    return [listed("misshapen", misshapen)] if misshapen else []


def value_problems(source: Source) -> list[Problem]:
    """Return the parameters with values that are not finite, or too large for float32."""
    not_finite = []
    for name in source.table:
        tensor = source.tensors[name].detach()
        count = tensor.numel() - int(torch.isfinite(tensor.float()).sum())
        if count:
            overflowing = count <= _count_overflows(tensor)
            kind = f"beyond float32, {tensor.dtype}" if overflowing else "NaN or infinite"
            shape = list(tensor.shape)
            not_finite.append(f"{source.file_names[name]} {shape}: {count:,} values {kind}")
    return [listed("not finite", not_finite)] if not_finite else []


def _count_overflows(tensor: torch.Tensor) -> int:
    """Return the number of finite values that float32 cannot hold."""
    return int((torch.isfinite(tensor) & ~torch.isfinite(tensor.float())).sum())


def refusal(checkpoint: Checkpoint, problems: list[Problem]) -> InputError:
    """Return an error of this checkpoint."""
    return InputError(str(checkpoint.path), problems)


def _rename(
    checkpoint: Checkpoint, hub: bool
) -> tuple[dict[str, torch.Tensor], dict[str, str], Counter[str]]:
    """Return the tensors and their names in the file by fairseq's names, and what was dropped.

    Raises:
        InputError: a parameter is there twice, in two spellings.
    """
    tensors: dict[str, torch.Tensor] = {}
    file_names: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    duplicates = []
    for file_name, tensor in checkpoint.tensors.items():
        name = parameter_names.fairseq_name(file_name, hub=hub)
        if kind := parameter_names.dropped_kind(name):
            dropped[kind] += 1
            continue
        if name in tensors:
            duplicates.append(f"{file_names[name]} and {file_name}")
        tensors[name], file_names[name] = tensor, file_name
    if duplicates:
        raise refusal(checkpoint, [listed("one parameter twice", duplicates)])
    return tensors, file_names, dropped


def _split_projections(tensors: dict[str, torch.Tensor], file_names: dict[str, str]) -> None:
    """Split the projection for queries, keys and values, as fairseq had it until 0.9, into three.

    Both dictionaries are changed in place.
    """
    for name in [n for n in tensors if ".in_proj." in n]:
        for part, rows in zip("qkv", tensors.pop(name).chunk(3), strict=False):
            part_name = name.replace("in_proj", f"{part}_proj")
            tensors[part_name], file_names[part_name] = rows, file_names[name]
