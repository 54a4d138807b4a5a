"""The hyperparameters that all recipes share, with names, bounds, defaults and help texts.

They are defined here only: studies, validation, `raysearch list` and the columns of tables all use
these fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..search_space import Number
from ..tasks import Head

MAX_EVALUATIONS = 100_000  # per trial


class Steps(BaseModel):
    """A number of optimizer steps, written {steps: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=0, le=10**9, description="optimizer steps")

    def __str__(self) -> str:
        return f"{self.steps} steps"


class PerEpoch(BaseModel):
    """A number of evaluations at equal parts of every epoch, written {per_epoch: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_epoch: int = Field(ge=1, le=10_000, description="evaluations per epoch")


def none_for_false(value: Any) -> Any:
    """Return None for a value that means none, else the value.

    YAML 1.1 reads a bare `none` as text and `no` as False; both mean none in an optional field.
    """
    return None if value is False or value == "none" else value


# Fields that determine the prepared data or the model. All trials of a task share their values.
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
    """A condition under which a hyperparameter has an effect: some values of another one.

    Attributes:
        name: the other hyperparameter.
        holds: returns whether a value of the other one fulfils the condition.
        text: those values, in words.
    """

    name: str
    holds: Callable[[Any], bool]
    text: str


def _equals(name: str, expected: str) -> Condition:
    return Condition(name=name, holds=lambda value: value == expected, text=expected)


_FP16 = _equals("precision", "fp16")
_POLYNOMIAL = _equals("schedule", "polynomial")
_CONDITIONAL = _equals("span_head", "conditional")

Probability = Annotated[Number, Field(ge=0, lt=1)]
Rate = Annotated[Number, Field(gt=0, le=10)]
Epochs = Annotated[Number, Field(gt=0, le=100_000)] | Steps
OptionalProbability = Annotated[Probability | None, BeforeValidator(none_for_false)]
OptionalCount = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)]


class Hyperparameters(BaseModel):
    """A full configuration: everything that a trial is trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Fields that determine the model's shape -> their names in transformers' configuration.
    CONFIG_NAMES: ClassVar[dict[str, str]] = {}
    # Field -> the heads that read it. All heads read a field that is not listed.
    READ_BY_HEADS: ClassVar[dict[str, tuple[Head, ...]]] = {
        **dict.fromkeys(_SPAN, ("span",)),
        "qa_length": ("choose",),
        "segments": ("choose",),
        "pooling": ("tag",),
        "over_length": ("classify", "regress"),
        "label_scale": ("regress",),
        "label_smoothing": ("classify", "choose", "tag"),
    }
    # Field -> the condition under which it has an effect, for the heads that read it.
    EFFECTIVE_WHEN: ClassVar[dict[str, Condition]] = {
        "schedule_power": _POLYNOMIAL,
        "schedule_end": _POLYNOMIAL,
        "fp16_scale": _FP16,
        "fp16_window": _FP16,
        "adam_eps_on": Condition(
            name="bias_correction", holds=bool, text="true: without it both ways are the same"
        ),
        "decay_exclude": Condition(name="weight_decay", holds=bool, text="above 0"),
        "layerwise_offset": Condition(
            name="layerwise_decay", holds=lambda rate: rate not in (None, 1), text="below 1"
        ),
        "beam": _CONDITIONAL,
        "answerable_by": _CONDITIONAL,
        "answerable_weight": _CONDITIONAL,
        "span_over": _equals("span_head", "plain"),
    }

    BSZ: int = Field(
        32, ge=1, le=2**31, description="examples per optimizer step, over all devices"
    )
    LR: Rate = Field(2e-5, description="peak learning rate")
    EPOCH: Epochs = Field(3, description="epochs of training, or {steps: N}")
    WARMUP: Annotated[Number, Field(ge=0, le=10**6)] | Steps = Field(
        0.1, description="below 1 the ratio of warmup steps, else its reciprocal, or {steps: N}"
    )
    epoch_examples: OptionalCount = Field(
        None, description="examples per epoch that the schedule assumes; none: all rows"
    )

    schedule: Literal["linear", "constant", "polynomial", "bert", "electra"] = Field(
        "linear", description="shape of the learning rate after and during warmup"
    )
    schedule_power: Number = Field(1.0, gt=0, description="exponent of the polynomial schedule")
    schedule_end: Number = Field(
        0.0, ge=0, description="final learning rate of the polynomial schedule"
    )
    schedule_offset: Literal[0, 1] = Field(
        0, description="learning rate of the first warmup step: 0, or LR / warmup steps (1)"
    )

    weight_decay: Number = Field(0.01, ge=0, description="decoupled weight decay")
    decay_exclude: tuple[Literal["bias", "norm", "embedding"], ...] = Field(
        ("bias", "norm"), description="parameters that do not decay"
    )
    adam_betas: tuple[Number, Number] = Field((0.9, 0.999), description="AdamW's two betas")
    adam_eps: Number = Field(1e-8, gt=0, description="AdamW's epsilon")
    adam_eps_on: Literal["corrected", "raw"] = Field(
        "corrected",
        description="epsilon is added to sqrt(v) after bias correction, or before (fairseq)",
    )
    bias_correction: bool = Field(True, description="AdamW's bias correction; BERT's code has none")
    clip: Annotated[Annotated[Number, Field(gt=0)] | None, BeforeValidator(none_for_false)] = Field(
        1.0, description="largest global L2 norm of the gradient; none: no clipping"
    )
    layerwise_decay: Annotated[
        Annotated[Number, Field(gt=0, le=1)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="multiplier of the learning rate from one layer to the next lower")
    layerwise_offset: Literal[1, 2] = Field(
        2, description="exponent of the top layer: 2 as in ELECTRA's code, 1 as in its paper"
    )

    dropout: OptionalProbability = Field(None, description="hidden dropout; none: the model's own")
    attention_dropout: OptionalProbability = Field(None, description="attention dropout")
    classifier_dropout: OptionalProbability = Field(None, description="dropout before the head")
    label_smoothing: Probability = Field(
        0.0, description="probability mass spread over all classes"
    )
    label_scale: Number = Field(1.0, gt=0, description="regression labels are divided by this")

    max_length: int = Field(
        128, ge=8, le=10**6, description="maximum tokens of an example; longer ones are cut"
    )
    over_length: Literal["cut", "drop"] = Field(
        "cut", description="longer training texts are cut, or left out (fairseq)"
    )
    doc_stride: int = Field(
        128, ge=1, description="span: tokens from one window to the next; see stride_as"
    )
    stride_as: Literal["step", "overlap"] = Field(
        "step", description="span: doc_stride is the step between windows, or their overlap"
    )
    query_length: int = Field(
        64, ge=1, description="span: maximum tokens of a question; the rest is cut"
    )
    span_head: Literal["plain", "conditional"] = Field(
        "plain", description="span: start and end scores (BERT), or end given start (ELECTRA)"
    )
    span_over: Literal["all", "context"] = Field(
        "all", description="span: tokens of the plain head: all (BERT), or [CLS] and context (AMOS)"
    )
    answerable_by: Literal["window", "example"] = Field(
        "window",
        description="span: the conditional head judges each window, or each example, answerable",
    )
    answerable_weight: Number = Field(
        0.5, ge=0, description="span: weight of the conditional head's answerability loss"
    )
    beam: int = Field(
        5, ge=1, le=10_000, description="span: starts that are considered, and ends for each"
    )
    n_best: int = Field(20, ge=1, le=10_000, description="span: answers kept per question")
    answer_length: int = Field(30, ge=1, description="span: maximum tokens of an answer")
    null_threshold: Number = Field(
        0.0,
        description="span: no answer if the null score exceeds the best answer's by more than this",
    )
    qa_length: int = Field(
        128, ge=8, description="choose: maximum tokens of question and option; the rest is cut"
    )
    segments: Literal["qa_first", "passage_first"] = Field(
        "qa_first",
        description="choose: question and option before the passage (fairseq), or after it",
    )
    pooling: Literal["first", "sum"] = Field(
        "first",
        description="tag: a word is represented by its first token, or by the sum of its tokens",
    )

    dev_examples: OptionalCount = Field(
        None, description="examples of each dev split that are scored, evenly spread; none: all"
    )
    evaluations: int | PerEpoch = Field(
        4, description="evaluations at equal parts of the schedule, or {per_epoch: N}"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="number format of the forward pass"
    )
    fp16_scale: Number = Field(2.0**16, gt=0, le=2.0**64, description="initial loss scale of fp16")
    fp16_window: int = Field(
        2000, ge=1, description="fp16: steps without overflow after which the loss scale doubles"
    )
    gradient_checkpointing: bool = Field(
        False, description="saves memory at the cost of computation"
    )
    compile: bool = Field(False, description="torch.compile the model")
    micro_batch_tokens: Annotated[
        Annotated[int, Field(ge=8)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="maximum padded tokens of a micro-batch; none: measured")

    def view_kinds(self) -> frozenset[str]:
        """Return the kinds of views that a trial needs besides the text itself."""
        return frozenset()

    def ineffective_fields(self) -> frozenset[str]:
        """Return the fields that have no effect given the other values.

        They are not searched and not part of a teacher's identity.
        """
        return frozenset()

    def examples_per_epoch(self, examples: int) -> int:
        """Return the number of examples of an epoch for a training set of `examples`."""
        return examples

    def config_overrides(self) -> dict[str, Any]:
        """Return the model's shape by transformers' names, without values that are none."""
        values = {name: getattr(self, field) for field, name in self.CONFIG_NAMES.items()}
        return {name: value for name, value in values.items() if value is not None}

    @field_validator("adam_betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"both betas must be in [0, 1), got {list(betas)}")
        return betas

    @field_validator("evaluations")
    @classmethod
    def _check_evaluations(cls, evaluations: int | PerEpoch) -> int | PerEpoch:
        if isinstance(evaluations, int) and evaluations < 1:
            raise ValueError(f"at least one evaluation is needed, got {evaluations}")
        if isinstance(evaluations, int) and evaluations > MAX_EVALUATIONS:
            raise ValueError(
                f"at most {MAX_EVALUATIONS:,} evaluations are possible, got {evaluations:,}"
            )
        return evaluations

    @field_validator("EPOCH", "teacher_EPOCH", check_fields=False)
    @classmethod
    def _check_steps(cls, epochs: float | Steps | None) -> float | Steps | None:
        if isinstance(epochs, Steps) and epochs.steps < 1:
            raise ValueError(f"at least one step is needed, got {{steps: {epochs.steps}}}")
        return epochs
