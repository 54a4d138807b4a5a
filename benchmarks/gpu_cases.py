"""The models and training examples that gpu.py measures, made of shapes and lengths alone.

It is apart from gpu.py, which measures them. No weights, texts or vocabularies are read: weights
are random, and so are the tokens, of as many distinct ids as the task's own text has.
"""

import gc
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from length_mixes import MIXES, LengthMix, drawn_examples, measure
from step_loops import Phases, StepCase
from transformers import AutoConfig, AutoModel

from raysearch import tasks
from raysearch.errors import InputError, first_line
from raysearch.models.pretrained import Pretrained

# As transformers' own configurations, save where the published ones differ from their defaults.
_ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
          "intermediate_size": 4096}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "BERT-base": {"model_type": "bert", "vocab_size": 30522},
    "RoBERTa-base": {"model_type": "roberta", "vocab_size": 50265, **_ROBERTA},
    "RoBERTa-large": {"model_type": "roberta", "vocab_size": 50265, **_ROBERTA, **_LARGE},
    "XLM-R-base": {"model_type": "xlm-roberta", "vocab_size": 250002, **_ROBERTA},
    "DeBERTa-v3-base": {
        "model_type": "deberta-v2", "vocab_size": 128100, "hidden_size": 768,
        "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "layer_norm_eps": 1e-7,
        "max_relative_positions": -1, "position_biased_input": False, "type_vocab_size": 0,
    },
}  # fmt: skip
_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 64, "vocab_size": 600}  # fmt: skip
# Settings of fine-tuning, and whether a matrix product in float32 may run as TF32.
PRECISIONS = {
    "bf16": ("bf16", True),
    "fp16": ("fp16", True),
    "tf32": ("fp32", True),
    "fp32": ("fp32", False),  # as raysearch trains: it leaves TF32 off
}
EPOCH_BATCHES = 200  # batches of an epoch: the Trainer sorts by length within 50 of them


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the measured things are.

    Attributes:
        small: tiny models and a few short texts, to try the script on a CPU.
        phases: the steps of a measured run.
        curve: the steps of a loss curve.
        matrix: rows of the square matrices whose product is the floor.
        copied: bytes of the copy whose rate is the floor.
    """

    small: bool
    phases: Phases
    curve: int
    matrix: int
    copied: int


FULL = Scale(
    small=False,
    # 50 timed steps are one of the Trainer's blocks that it sorts by length: all lengths.
    phases=Phases(warm=5, timed=50, host=8, profiled=4),
    curve=200,
    matrix=8192,
    copied=2**30,
)
SMALL = Scale(small=True, phases=Phases(warm=1, timed=2), curve=6, matrix=128, copied=2**20)


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The lengths of a training set.

    Attributes:
        mix: what they are of.
        measured: the lengths in the published files; None where these cannot be read.
        source: where the lengths are from, for the output.
    """

    mix: LengthMix
    measured: np.ndarray | None = None
    source: str = "the quantiles in length_mixes.py"

    def draw(self, examples: int) -> np.ndarray:
        """Return lengths of so many examples."""
        if self.measured is None:
            return self.mix.draw(examples, seed=0)
        return np.random.default_rng(0).choice(self.measured, examples)


def read_lengths(name: str, data: Path | None) -> Lengths:
    """Return the lengths of a mix, from its files under `data` if they can be read.

    Args:
        name: a key of MIXES.
        data: see `length_mixes.measure`; None: there are no files.
    """
    mix = MIXES[name]
    if data is None:
        return Lengths(mix=mix)
    try:
        lengths, distinct = measure(mix, data)
    except (OSError, InputError) as error:
        return Lengths(mix=mix, source=f"{Lengths.source}, as {first_line(error)}")
    mix = replace(mix, distinct=distinct)
    return Lengths(mix=mix, measured=lengths, source=f"{len(lengths):,} rows of its files")


def make_case(
    shape: str, lengths: Lengths, precision: str, scale: Scale, device: torch.device
) -> StepCase:
    """Return a model and its training examples.

    Args:
        shape: a key of SHAPES.
        lengths: of the examples.
        precision: a key of PRECISIONS.
        scale: how large both are.
        device: what they run on.
    """
    mix = lengths.mix
    task = tasks.get(mix.task)
    batch = 4 if scale.small else mix.batch
    drawn = lengths.draw(batch * (8 if scale.small else EPOCH_BATCHES))
    drawn = np.maximum(drawn // 8, 6) if scale.small else drawn
    pretrained = _with_head(_encoder(shape, scale.small, device), task)
    config = pretrained.config
    distinct = min(mix.distinct, config["vocab_size"] - 50)
    train = drawn_examples(
        task, drawn, distinct, types=config["type_vocab_size"] > 1, padding=config["pad_token_id"]
    )
    return StepCase(
        task=task,
        pretrained=pretrained,
        train=train,
        device=device,
        hyper={
            "BSZ": batch, "LR": 5e-5, "precision": PRECISIONS[precision][0], **mix.settings,
        },
        phases=scale.phases,
    )  # fmt: skip


@cache
def _encoder(shape: str, small: bool, device: torch.device) -> Pretrained:
    """Return an encoder with random weights, without a head."""
    config = AutoConfig.for_model(**{**SHAPES[shape], **(_TINY if small else {})})
    torch.manual_seed(0)
    with torch.device(device):  # drawn there, which for 300 million weights saves seconds
        model = AutoModel.from_config(config, dtype=torch.float32)
    prefix = model.base_model_prefix
    weights = {f"{prefix}.{n}": x.cpu().numpy() for n, x in model.state_dict().items()}
    return Pretrained(
        name=shape, head="classify", config=config.to_dict(), weights=weights, tokenizer={},
        digest=f"{shape} {small}",
    )  # fmt: skip


def _with_head(encoder: Pretrained, task: tasks.Task) -> Pretrained:
    """Return an encoder with the labels and the head of a task, as `read_pretrained` sets them."""
    config = AutoConfig.for_model(**encoder.config)
    config.num_labels = task.outputs
    settings = {**config.to_dict(), "raysearch": None, "problem_type": None}
    digest = f"{encoder.digest} {task.name}"
    return replace(encoder, head=task.head, config=settings, digest=digest, task=task.name)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a mean step must at least compute and move.

    Attributes:
        flop: floating-point operations of its matrix products, forward and backward.
        bytes: what AdamW reads and writes: weight and two moments twice, the gradient once.
    """

    flop: float
    bytes: float


def work_of(case: StepCase) -> Work:
    """Return the work of a mean step: 6 N T + 12 L H sum(l^2), and 28 bytes per trained weight.

    N are the weights outside of embeddings, T the tokens of a step, L layers of width H, l the
    lengths of its rows. raysearch trains the word embeddings of the ids that occur, and one more.
    """
    train, config, batch = case.train, case.pretrained.config, case.hyper["BSZ"]
    sizes = {name: array.size for name, array in case.pretrained.weights.items()}
    dense = sum(size for name, size in sizes.items() if "embed" not in name)
    absent = config["vocab_size"] - len(train.vocabulary()) - 1
    trained = sum(sizes.values()) - absent * config["hidden_size"]
    tokens = batch * float(train.tokens.mean())
    rows = train.tokens / train.group  # the rows of a group have one length
    squares = batch * train.group * float((rows**2).mean())
    attention = 12 * config["num_hidden_layers"] * config["hidden_size"] * squares
    return Work(flop=6 * dense * tokens + attention, bytes=28 * trained)


def use_tf32(precision: str) -> None:
    """Let matrix products in float32 run as TF32, or not, as a precision says."""
    torch.set_float32_matmul_precision("high" if PRECISIONS[precision][1] else "highest")


def free_memory(device: torch.device) -> None:
    """Free the memory of what was dropped, so that the next run's peak is its own."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
