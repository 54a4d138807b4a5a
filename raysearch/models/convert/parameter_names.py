"""The names of parameters: fairseq's, the published folders' of AMOS and COCO-LM, transformers'.

It is apart from `weights` because it sees names only, no tensors.
"""

import re
from collections.abc import Iterable

FAMILIES = ("amos", "cocolm", "roberta", "xlmr", "cross-thought")
RELATIVE = ("amos", "cocolm")  # relative positions; one architecture, pre-trained in two ways
XLMR_VOCABULARY = 250002
MOST_LAYERS = 256  # the largest published encoder has 48

# A module of fairseq's sentence encoder -> the module of the model.
_EMBEDDINGS = {
    "embed_tokens": "embeddings.word_embeddings",
    "embed_positions": "embeddings.position_embeddings",
    "emb_layer_norm": "embeddings.LayerNorm",
}
# A module of one of its layers -> the module of the model's layer.
_FEED_FORWARD = {
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
_ROBERTA_LAYER = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    **_FEED_FORWARD,
}
_AMOS_LAYER = {
    "self_attn.in_proj": "attention.self_attn.in_proj",
    "self_attn.out_proj": "attention.self_attn.out_proj",
    "self_attn_layer_norm": "attention.LayerNorm",
    **_FEED_FORWARD,
}
_WITHOUT_BIAS = ("embed_tokens", "embed_positions", "relative_attention_bias")

# Older and newer spellings of one module.
_SPELLINGS = (
    (re.compile(r"^(?:module\.)?(?:(?:encoder|decoder)\.)?(?:sentence_encoder\.)?"), ""),
    (re.compile(r"^layernorm_embedding\."), "emb_layer_norm."),
    (re.compile(r"\.in_proj_(weight|bias)$"), r".in_proj.\1"),
)
# The transformers folders of AMOS and COCO-LM have other names for the same parameters.
_HUB_LAYER_MODULES = {new: old for old, new in _AMOS_LAYER.items()}
_HUB_EMBEDDINGS = {new: old for old, new in _EMBEDDINGS.items()}
_HUB_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_HUB_HEADS = {
    "classifier.": "classification_heads.sentence_classification_head.",
    "qa_outputs.": "classification_heads.question_answering_head.",
}

# Parameters of pre-training and bookkeeping, which no fine-tuned model has.
_DROPPED = (
    (re.compile(r"(^|\.)(version|_float_tensor|position_ids)$"), "bookkeeping"),
    (re.compile(r"^auxiliary\."), "the generator of pre-training"),
    (re.compile(r"^binary_head\."), "the binary head of pre-training"),
    (re.compile(r"^(seq_head|scl_head)\."), "the contrastive head of pre-training"),
)


def has_transformers_names(names: Iterable[str]) -> bool:
    """Return whether parameters have the names of transformers."""
    return any(name.endswith("embeddings.word_embeddings.weight") for name in names)


def fairseq_name(name: str, *, hub: bool) -> str:
    """Return a parameter's name in fairseq's spelling, which the other functions here expect.

    Args:
        name: as in the file.
        hub: whether the file has the names of transformers.
    """
    if not hub:
        for pattern, replacement in _SPELLINGS:
            name = pattern.sub(replacement, name)
        return name
    name = re.sub(r"^(?:amos|cocolm)\.", "", name)
    for root, replacement in _HUB_HEADS.items():
        if name.startswith(root):
            return name.replace(root, replacement, 1)
    module, _, kind = name.rpartition(".")
    if layer := _HUB_LAYER.fullmatch(module):
        index, part = layer.groups()
        return f"layers.{index}.{_HUB_LAYER_MODULES.get(part, part)}.{kind}"
    return f"{_HUB_EMBEDDINGS.get(module, module)}.{kind}"


def family(names: Iterable[str], vocabulary: int) -> str:
    """Return the family of parameters, one of FAMILIES.

    Args:
        names: in fairseq's spelling.
        vocabulary: the number of tokens; it tells XLM-R from RoBERTa.
    """
    roots = {name.split(".")[0] for name in names}
    if "relative_attention_bias" in roots:  # AMOS's main encoder has none of these heads
        return "cocolm" if roots & {"lm_head", "seq_head", "scl_head"} else "amos"
    if "crossthought_layers" in roots:
        return "cross-thought"
    return "xlmr" if vocabulary == XLMR_VOCABULARY else "roberta"


def dropped_kind(name: str) -> str | None:
    """Return what a parameter is that no fine-tuned model has; None for any other.

    Args:
        name: in fairseq's spelling.
    """
    return next((kind for pattern, kind in _DROPPED if pattern.search(name)), None)


def count_layers(names: Iterable[str], root: str) -> int:
    """Return the number of numbered modules below `root`: one more than the highest index.

    An index of MOST_LAYERS or more does not count: its parameters belong to no model.

    Args:
        names: in fairseq's spelling.
        root: name of the list.
    """
    matches = (re.match(rf"{root}\.(0|[1-9][0-9]{{0,2}})\.", name) for name in names)
    indices = [int(match[1]) for match in matches if match]
    return max((index + 1 for index in indices if index < MOST_LAYERS), default=0)


def encoder(family: str, layers: int, cross_layers: int) -> dict[str, str]:
    """Return every parameter of an encoder: its fairseq name -> its name in the model.

    Args:
        family: one of FAMILIES.
        layers: the number of layers.
        cross_layers: the number of Cross-Thought's layers above them.
    """
    relative = family in RELATIVE
    root, layer = ("amos", _AMOS_LAYER) if relative else ("roberta", _ROBERTA_LAYER)
    modules = dict(_EMBEDDINGS)
    if relative:
        modules["relative_attention_bias"] = "relative_attention_bias"
    lists = (
        ("layers", "encoder.layer", layers),
        ("crossthought_layers", "cross", cross_layers),
    )
    for old_list, new_list, count in lists:
        for index in range(count):
            modules |= {
                f"{old_list}.{index}.{old}": f"{new_list}.{index}.{new}"
                for old, new in layer.items()
            }
    return {
        f"{old}.{kind}": f"{root}.{new}.{kind}"
        for old, new in modules.items()
        for kind in (("weight",) if old in _WITHOUT_BIAS else ("weight", "bias"))
    }


def head_of(name: str) -> str | None:
    """Return the name of the head that a parameter belongs to; None if it is the encoder's.

    Args:
        name: in fairseq's spelling.
    """
    root, *rest = name.split(".")
    if root == "classification_heads":
        return rest[0]
    return root if root == "lm_head" else None


def heads(names: Iterable[str]) -> dict[str, str]:
    """Return the heads among parameters: name of the head -> "masked", "classify" or "span".

    A head that chooses has the names of one that classifies.

    Args:
        names: in fairseq's spelling.
    """
    kinds = {}
    for name in names:
        if head_name := head_of(name):
            kind = "span" if "_logits." in name else "classify"
            kinds[head_name] = "masked" if head_name == "lm_head" else kind
    return kinds


def head(name: str, kind: str, *, relative: bool) -> dict[str, str]:
    """Return every parameter of a head: its fairseq name -> its name in the model.

    The start and the end of a span are two rows of one parameter of the model. The hidden layer of
    a head that chooses is the pooler of transformers' model, which computes the same: a linear
    layer and tanh at the first token.

    Args:
        name: name of the head.
        kind: "masked", "classify", "choose" or "span".
        relative: whether the family is one of RELATIVE, whose heads all have fairseq's modules.
    """
    root = f"classification_heads.{name}"
    chooses = ("classifier.dense", "classifier.out_proj")
    if not relative:
        chooses = ("roberta.pooler.dense", "classifier")
    modules = {
        "masked": {part: part for part in ("lm_head.dense", "lm_head.layer_norm")},
        "classify": {f"{root}.{part}": f"classifier.{part}" for part in ("dense", "out_proj")},
        "choose": dict(zip((f"{root}.dense", f"{root}.out_proj"), chooses, strict=True)),
        "span": {f"{root}.{end}_logits.dense": "qa_outputs" for end in ("start", "end")},
    }[kind]
    parameters = {
        f"{old}.{part}": f"{new}.{part}"
        for old, new in modules.items()
        for part in ("weight", "bias")
    }
    return parameters | ({"lm_head.bias": "lm_head.bias"} if kind == "masked" else {})
