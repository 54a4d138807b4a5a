"""The names of parameters: fairseq's, those of the folders of AMOS and COCO-LM, and those of the
models that take them. It looks at no tensor."""

import re
from collections.abc import Iterable

FAMILIES = ("amos", "cocolm", "roberta", "xlmr", "cross-thought")
RELATIVE = ("amos", "cocolm")  # one encoder, trained in two ways
XLMR_VOCABULARY = 250002
MOST_LAYERS = 256  # the largest published encoder has 48

# A module of fairseq's sentence encoder -> its module in the model; N is a layer's number.
_ENDS = {
    "embed_tokens": "embeddings.word_embeddings",
    "embed_positions": "embeddings.position_embeddings",
    "emb_layer_norm": "embeddings.LayerNorm",
}
_BEHIND = {
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
    **_BEHIND,
}
_AMOS_LAYER = {
    "self_attn.in_proj": "attention.self_attn.in_proj",
    "self_attn.out_proj": "attention.self_attn.out_proj",
    "self_attn_layer_norm": "attention.LayerNorm",
    **_BEHIND,
}
_WEIGHT_ONLY = ("embed_tokens", "embed_positions", "relative_attention_bias")

# Older and newer spellings of one module.
_SPELLINGS = (
    (re.compile(r"^(?:module\.)?(?:(?:encoder|decoder)\.)?(?:sentence_encoder\.)?"), ""),
    (re.compile(r"^layernorm_embedding\."), "emb_layer_norm."),
    (re.compile(r"\.in_proj_(weight|bias)$"), r".in_proj.\1"),
)
# The transformers folders of AMOS and COCO-LM name the same parameters otherwise.
_HUB = {new: old for old, new in _AMOS_LAYER.items()}
_HUB_ENDS = {new: old for old, new in _ENDS.items()}
_HUB_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_HUB_HEADS = {
    "classifier.": "classification_heads.sentence_classification_head.",
    "qa_outputs.": "classification_heads.question_answering_head.",
}

# What pre-training or bookkeeping left, which no fine-tuned model has a place for.
_LEFT = (
    (re.compile(r"(^|\.)(version|_float_tensor|position_ids)$"), "bookkeeping"),
    (re.compile(r"^auxiliary\."), "the generator of pre-training"),
    (re.compile(r"^binary_head\."), "the binary head of pre-training"),
    (re.compile(r"^(seq_head|scl_head)\."), "the contrastive head of pre-training"),
)


def from_hub(names: Iterable[str]) -> bool:
    """Whether parameters are named as in transformers."""
    return any(name.endswith("embeddings.word_embeddings.weight") for name in names)


def transformers_name(name: str, *, hub: bool) -> str:
    """A parameter's name in one spelling of fairseq's, which the rest of this module reads."""
    if not hub:
        for pattern, instead in _SPELLINGS:
            name = pattern.sub(instead, name)
        return name
    name = re.sub(r"^(?:amos|cocolm)\.", "", name)
    for root, instead in _HUB_HEADS.items():
        if name.startswith(root):
            return name.replace(root, instead, 1)
    module, _, kind = name.rpartition(".")
    if layer := _HUB_LAYER.fullmatch(module):
        number, part = layer.groups()
        return f"layers.{number}.{_HUB.get(part, part)}.{kind}"
    return f"{_HUB_ENDS.get(module, module)}.{kind}"


def family(names: Iterable[str], vocabulary: int) -> str:
    """Which family parameters are of; XLM-R is RoBERTa with its vocabulary."""
    roots = {name.split(".")[0] for name in names}
    if "relative_attention_bias" in roots:  # AMOS's main encoder has no other of these heads
        return "cocolm" if roots & {"lm_head", "seq_head", "scl_head"} else "amos"
    if "crossthought_layers" in roots:
        return "cross-thought"
    return "xlmr" if vocabulary == XLMR_VOCABULARY else "roberta"


def is_dropped(name: str) -> str | None:
    """What a parameter without a place in a fine-tuned model is; None for any other."""
    return next((what for pattern, what in _LEFT if pattern.search(name)), None)


def count_layers(names: Iterable[str], root: str) -> int:
    """How many numbered modules there are below `root`: one more than the highest number.

    A number of MOST_LAYERS or more is none: its parameters belong to no model.
    """
    found = (re.match(rf"{root}\.(0|[1-9][0-9]{{0,2}})\.", name) for name in names)
    numbers = [int(match[1]) for match in found if match]
    return max((number + 1 for number in numbers if number < MOST_LAYERS), default=0)


def encoder(family: str, layers: int, crossing: int) -> dict[str, str]:
    """Every parameter of an encoder: its name in the checkpoint -> its name in the model.

    Args:
        layers: how many.
        crossing: Cross-Thought's layers behind them.
    """
    amos = family in RELATIVE
    root, layer = ("amos", _AMOS_LAYER) if amos else ("roberta", _ROBERTA_LAYER)
    modules = dict(_ENDS)
    if amos:
        modules["relative_attention_bias"] = "relative_attention_bias"
    for old, new, number in (
        ("layers", "encoder.layer", layers), ("crossthought_layers", "cross", crossing)
    ):  # fmt: skip
        for at in range(number):
            modules |= {f"{old}.{at}.{part}": f"{new}.{at}.{is_}" for part, is_ in layer.items()}
    return {
        f"{old}.{kind}": f"{root}.{new}.{kind}"
        for old, new in modules.items()
        for kind in (("weight",) if old in _WEIGHT_ONLY else ("weight", "bias"))
    }


def head_of(name: str) -> str | None:
    """The head that a parameter is of, or None for the encoder's."""
    root, *rest = name.split(".")
    return rest[0] if root == "classification_heads" else root if root == "lm_head" else None


def heads(names: Iterable[str]) -> dict[str, str]:
    """The heads among parameters: a head's name -> its kind, `masked`, `classify` or `span`."""
    found = {}
    for name in names:
        if own := head_of(name):
            span = "_logits." in name
            found[own] = "masked" if own == "lm_head" else "span" if span else "classify"
    return found


def head(name: str, kind: str) -> dict[str, str]:
    """Every parameter of a head, as `encoder`. A span's start and end are two rows of one."""
    root = f"classification_heads.{name}"
    modules = {
        "masked": {part: part for part in ("lm_head.dense", "lm_head.layer_norm")},
        "classify": {f"{root}.{part}": f"classifier.{part}" for part in ("dense", "out_proj")},
        "span": {f"{root}.{end}_logits.dense": "qa_outputs" for end in ("start", "end")},
    }[kind]
    both = {f"{a}.{k}": f"{b}.{k}" for a, b in modules.items() for k in ("weight", "bias")}
    return both | ({"lm_head.bias": "lm_head.bias"} if kind == "masked" else {})
