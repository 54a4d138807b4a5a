"""The hyperparameters that every recipe shares: the one list of names, bounds, defaults and help.

Studies, validation, `raysearch list` and the columns of tables all come from these fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..search_space import Number
from ..tasks import Head

MOST_EVALUATIONS = 100_000  # of one trial


class Steps(BaseModel):
    """A count of optimizer steps, written {steps: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=0, le=10**9, description="optimizer steps")

    def __str__(self) -> str:
        return f"{self.steps} steps"


class PerEpoch(BaseModel):
    """Evaluations at equal parts of every epoch, written {per_epoch: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_epoch: int = Field(ge=1, le=10_000, description="evaluations per epoch")


def none_for_false(value: Any) -> Any:
    """An optional field's value: a bare `none` is text to YAML 1.1, `no` False; both mean none."""
    return None if value is False or value == "none" else value


# Fields that shape the prepared data or the model: all trials of a task share them.
DATA_HYPERPARAMETERS = (
    "max_length", "over_length", "doc_stride", "stride_as", "query_length", "span_head",
    "answerable_by", "qa_length", "segments", "dev_examples", "view", "teacher_view", "corpus",
    "teacher", "teacher_lambda1",
)  # fmt: skip

_SPAN = (
    "doc_stride", "stride_as", "query_length", "span_head", "span_over", "answerable_by",
    "answerable_weight", "beam", "n_best", "answer_length", "null_threshold",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Condition:
    """When a hyperparameter is read: only beside some values of another.

    Attributes:
        name: the other.
        holds: whether a value of the other lets it be read.
        text: those values, in words.
    """

    name: str
    holds: Callable[[Any], bool]
    text: str


def _is(name: str, value: Any) -> Condition:
    return Condition(name=name, holds=lambda other: other == value, text=str(value))


_FP16 = _is("precision", "fp16")
_POLYNOMIAL = _is("schedule", "polynomial")
_CONDITIONAL = _is("span_head", "conditional")

Probability = Annotated[Number, Field(ge=0, lt=1)]
Rate = Annotated[Number, Field(gt=0, le=10)]
Epochs = Annotated[Number, Field(gt=0, le=100_000)] | Steps
OptionalProbability = Annotated[Probability | None, BeforeValidator(none_for_false)]


class Hyperparameters(BaseModel):
    """A configuration, whole: what a trial is trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Fields that shape the model -> their names in transformers' configuration.
    CONFIG_NAMES: ClassVar[dict[str, str]] = {}
    # Fields -> the heads that read them; what is not named here is read by all.
    READ_BY_HEADS: ClassVar[dict[str, tuple[Head, ...]]] = {
        **dict.fromkeys(_SPAN, ("span",)),
        "qa_length": ("choose",),
        "segments": ("choose",),
        "pooling": ("tag",),
        "over_length": ("classify", "regress"),
        "label_scale": ("regress",),
        "label_smoothing": ("classify", "choose", "tag"),
    }

    # Fields -> when they are read, besides by which heads.
    EFFECTIVE_WHEN: ClassVar[dict[str, Condition]] = {
        "schedule_power": _POLYNOMIAL,
        "schedule_end": _POLYNOMIAL,
        "fp16_scale": _FP16,
        "fp16_window": _FP16,
        "adam_eps_on": Condition(
            name="bias_correction", holds=bool, text="true: without it epsilon stands one way"
        ),
        "decay_exclude": Condition(name="weight_decay", holds=bool, text="above 0"),
        "layerwise_offset": Condition(
            name="layerwise_decay", holds=lambda rate: rate not in (None, 1), text="below 1"
        ),
        "beam": _CONDITIONAL,
        "answerable_by": _CONDITIONAL,
        "answerable_weight": _CONDITIONAL,
        "span_over": _is("span_head", "plain"),
    }

    BSZ: int = Field(
        32, ge=1, le=2**31, description="examples per optimizer step, over all devices"
    )
    LR: Rate = Field(2e-5, description="peak learning rate")
    EPOCH: Epochs = Field(3, description="passes over the training data, or {steps: N}")
    WARMUP: Annotated[Number, Field(ge=0, le=10**6)] | Steps = Field(
        0.1, description="above 1 the reciprocal of the ratio, below 1 the ratio, or {steps: N}"
    )
    epoch_examples: Annotated[
        Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="examples that an epoch of the schedule counts; none: all rows")

    schedule: Literal["linear", "constant", "polynomial", "bert", "electra"] = Field(
        "linear", description="shape of the learning rate after and during warmup"
    )
    schedule_power: Number = Field(1.0, gt=0, description="exponent of the polynomial schedule")
    schedule_end: Number = Field(0.0, ge=0, description="last learning rate of the polynomial")
    schedule_offset: Literal[0, 1] = Field(
        0, description="0: the first step has learning rate 0 under warmup; 1: LR/warmup steps"
    )

    weight_decay: Number = Field(0.01, ge=0, description="decoupled weight decay")
    decay_exclude: tuple[Literal["bias", "norm", "embedding"], ...] = Field(
        ("bias", "norm"), description="parameters that do not decay"
    )
    adam_betas: tuple[Number, Number] = Field((0.9, 0.999), description="AdamW's two momenta")
    adam_eps: Number = Field(1e-8, gt=0, description="AdamW's epsilon")
    adam_eps_on: Literal["corrected", "raw"] = Field(
        "corrected", description="added to sqrt(v) after bias correction, or before it (fairseq)"
    )
    bias_correction: bool = Field(True, description="AdamW's bias correction; BERT's code had none")
    clip: Annotated[Annotated[Number, Field(gt=0)] | None, BeforeValidator(none_for_false)] = Field(
        1.0, description="largest global L2 norm of the gradient; none: no clipping"
    )
    layerwise_decay: Annotated[
        Annotated[Number, Field(gt=0, le=1)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="learning rate multiplier from one layer to the one below")
    layerwise_offset: Literal[1, 2] = Field(
        2, description="exponent of the top layer: 2 as ELECTRA's code, 1 as its paper"
    )

    dropout: OptionalProbability = Field(None, description="hidden dropout; none: the model's own")
    attention_dropout: OptionalProbability = Field(None, description="attention dropout")
    classifier_dropout: OptionalProbability = Field(None, description="dropout before the head")
    label_smoothing: Probability = Field(0.0, description="mass spread over all classes")
    label_scale: Number = Field(1.0, gt=0, description="regression labels are divided by this")

    max_length: int = Field(
        128, ge=8, le=10**6, description="tokens of an example; longer ones are cut"
    )
    over_length: Literal["cut", "drop"] = Field(
        "cut", description="training texts of more tokens are cut, or left out (fairseq)"
    )
    doc_stride: int = Field(128, ge=1, description="span: tokens between windows of a long text")
    stride_as: Literal["step", "overlap"] = Field(
        "step", description="span: doc_stride is how far windows advance, or how far they overlap"
    )
    query_length: int = Field(64, ge=1, description="span: tokens of a question; the rest is cut")
    span_head: Literal["plain", "conditional"] = Field(
        "plain", description="span: start and end scores (BERT), or end given start (ELECTRA)"
    )
    span_over: Literal["all", "context"] = Field(
        "all", description="span: the plain head's tokens: all (BERT), or [CLS] and context (AMOS)"
    )
    answerable_by: Literal["window", "example"] = Field(
        "window", description="span: what the conditional head calls answerable"
    )
    answerable_weight: Number = Field(
        0.5, ge=0, description="span: weight of the conditional head's answerability loss"
    )
    beam: int = Field(
        5, ge=1, le=10_000, description="span: starts, and ends for each, that are considered"
    )
    n_best: int = Field(20, ge=1, le=10_000, description="span: answers kept of a question")
    answer_length: int = Field(30, ge=1, description="span: most tokens of an answer")
    null_threshold: Number = Field(
        0.0, description="span: no answer where the null score is above the best one's by more"
    )
    qa_length: int = Field(
        128, ge=8, description="choose: tokens of question and option; the rest is cut"
    )
    segments: Literal["qa_first", "passage_first"] = Field(
        "qa_first", description="choose: question and option before the passage (fairseq), or after"
    )
    pooling: Literal["first", "sum"] = Field(
        "first", description="tag: a word is its first token, or the sum of its tokens"
    )

    dev_examples: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)] = (
        Field(
            None, description="examples of each dev split that are scored, evenly spread; none: all"
        )
    )
    evaluations: int | PerEpoch = Field(
        4, description="evaluations at equal parts of the schedule, or {per_epoch: N}"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of the forward pass")
    fp16_scale: Number = Field(2.0**16, gt=0, le=2.0**64, description="first loss scale of fp16")
    fp16_window: int = Field(2000, ge=1, description="steps without overflow that double it")
    gradient_checkpointing: bool = Field(False, description="less memory, more computation")
    compile: bool = Field(False, description="torch.compile the model")
    micro_batch_tokens: Annotated[
        Annotated[int, Field(ge=8)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="most padded tokens in a micro-batch; none: found out")

    def view_kinds(self) -> frozenset[str]:
        """The kinds of views that a trial's examples are seen in, beside the text itself."""
        return frozenset()

    def ineffective_fields(self) -> frozenset[str]:
        """Fields that change nothing beside the values of the others."""
        return frozenset()

    def examples_per_epoch(self, examples: int) -> int:
        """Examples that a pass over a training set of so many goes through."""
        return examples

    def config_overrides(self) -> dict[str, Any]:
        """What shapes the model, in transformers' names; what is none is the model's own."""
        values = {theirs: getattr(self, ours) for ours, theirs in self.CONFIG_NAMES.items()}
        return {name: value for name, value in values.items() if value is not None}

    @field_validator("adam_betas")
    @classmethod
    def _betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"both momenta lie in [0, 1), got {list(betas)}")
        return betas

    @field_validator("evaluations")
    @classmethod
    def _some(cls, evaluations: int | PerEpoch) -> int | PerEpoch:
        if isinstance(evaluations, int) and evaluations < 1:
            raise ValueError(f"at least one evaluation, got {evaluations}")
        if isinstance(evaluations, int) and evaluations > MOST_EVALUATIONS:
            raise ValueError(f"at most {MOST_EVALUATIONS:,} evaluations, got {evaluations:,}")
        return evaluations

    @field_validator("EPOCH", "teacher_EPOCH", check_fields=False)
    @classmethod
    def _any_steps(cls, passes: float | Steps | None) -> float | Steps | None:
        if isinstance(passes, Steps) and passes.steps < 1:
            raise ValueError(f"at least one step, got {{steps: {passes.steps}}}")
        return passes
