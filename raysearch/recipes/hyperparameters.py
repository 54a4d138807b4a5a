"""The hyperparameters that all recipes share, with names, bounds, defaults and help texts.

They are defined here only: studies, validation, `raysearch list` and the columns of tables all use
these fields. Which heads read a field, and when it has an effect, is in its type, see
`field_metadata`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ..search_space import Number
from ..tasks import Head
from .field_metadata import SHARED, Condition, ConfigName, ReadBy, Shared, equals, fields_with

MAX_EVALUATIONS = 100_000  # per trial


class Steps(BaseModel):
    """A number of optimizer steps, written {steps: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    steps: int = Field(ge=0, le=10**9, description="optimizer steps")

    def __str__(self) -> str:
        return f"{self.steps} steps"


class PerEpoch(BaseModel):
    """A number of evaluations at equal parts of every epoch, written {per_epoch: N}."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    per_epoch: int = Field(ge=1, le=10_000, description="evaluations per epoch")


def none_for_false(value: Any) -> Any:
    """Return None for a value that means none, else the value.

    YAML 1.1 reads a bare `none` as text and `no` as False; both mean none in an optional field.
    """
    return None if value is False or value == "none" else value


_FP16 = equals("precision", "fp16")
_POLYNOMIAL = equals("schedule", "polynomial")
_CONDITIONAL = equals("span_head", "conditional")
_PLAIN = equals("span_head", "plain")
_CORRECTED = Condition(
    name="bias_correction", holds=bool, text="true: without it both ways are the same"
)
_DECAYING = Condition(name="weight_decay", holds=bool, text="above 0")
_LAYERWISE = Condition(
    name="layerwise_decay", holds=lambda rate: rate not in (None, 1), text="below 1"
)
_SPAN = ReadBy("span")

Probability = Annotated[Number, Field(ge=0, lt=1)]
Rate = Annotated[Number, Field(gt=0, le=10)]
Epochs = Annotated[Number, Field(gt=0, le=100_000)] | Steps
OptionalProbability = Annotated[Probability | None, BeforeValidator(none_for_false)]
OptionalCount = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(none_for_false)]


class Hyperparameters(BaseModel):
    """A full configuration: everything that a trial is trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

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
    schedule_power: Annotated[Number, _POLYNOMIAL] = Field(
        1.0, gt=0, description="exponent of the polynomial schedule"
    )
    schedule_end: Annotated[Number, _POLYNOMIAL] = Field(
        0.0, ge=0, description="final learning rate of the polynomial schedule"
    )
    schedule_offset: Literal[0, 1] = Field(
        0, description="learning rate of the first warmup step: 0, or LR / warmup steps (1)"
    )

    weight_decay: Number = Field(0.01, ge=0, description="decoupled weight decay")
    decay_exclude: Annotated[tuple[Literal["bias", "norm", "embedding"], ...], _DECAYING] = Field(
        ("bias", "norm"), description="parameters that do not decay"
    )
    decay_times: Annotated[Literal["rate", "share"], _DECAYING] = Field(
        "rate",
        description="a step decays weights by weight_decay times its learning rate, or times the "
        "share of LR that this is (Composer's DecoupledAdamW)",
    )
    adam_betas: tuple[Number, Number] = Field((0.9, 0.999), description="AdamW's two betas")
    adam_eps: Number = Field(1e-8, gt=0, description="AdamW's epsilon")
    adam_eps_on: Annotated[Literal["corrected", "raw"], _CORRECTED] = Field(
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
    layerwise_offset: Annotated[Literal[1, 2], _LAYERWISE] = Field(
        2, description="exponent of the top layer: 2 as in ELECTRA's code, 1 as in its paper"
    )

    dropout: OptionalProbability = Field(None, description="hidden dropout; none: the model's own")
    attention_dropout: OptionalProbability = Field(None, description="attention dropout")
    classifier_dropout: OptionalProbability = Field(None, description="dropout before the head")
    label_smoothing: Annotated[Probability, ReadBy("classify", "choose", "tag")] = Field(
        0.0, description="probability mass spread over all classes"
    )
    label_scale: Annotated[Number, ReadBy("regress", prefix=False)] = Field(
        1.0, gt=0, description="regression labels are divided by this"
    )

    max_length: Annotated[int, SHARED] = Field(
        128, ge=8, le=10**6, description="maximum tokens of an example; longer ones are cut"
    )
    over_length: Annotated[Literal["cut", "drop"], ReadBy("classify", "regress"), SHARED] = Field(
        "cut", description="longer training texts are cut, or left out (fairseq)"
    )
    doc_stride: Annotated[int, _SPAN, SHARED] = Field(
        128, ge=1, description="tokens from one window to the next; see stride_as"
    )
    stride_as: Annotated[Literal["step", "overlap"], _SPAN, SHARED] = Field(
        "step", description="doc_stride is the step between windows, or their overlap"
    )
    query_length: Annotated[int, _SPAN, SHARED] = Field(
        64, ge=1, description="maximum tokens of a question; the rest is cut"
    )
    span_head: Annotated[Literal["plain", "conditional"], _SPAN, SHARED] = Field(
        "plain", description="start and end scores (BERT), or end given start (ELECTRA)"
    )
    span_over: Annotated[Literal["all", "context"], _SPAN, _PLAIN] = Field(
        "all", description="tokens of the plain head: all (BERT), or [CLS] and context (AMOS)"
    )
    answerable_by: Annotated[Literal["window", "example"], _SPAN, SHARED, _CONDITIONAL] = Field(
        "window",
        description="the conditional head judges each window, or each example, answerable",
    )
    answerable_weight: Annotated[Number, _SPAN, _CONDITIONAL] = Field(
        0.5, ge=0, description="weight of the conditional head's answerability loss"
    )
    beam: Annotated[int, _SPAN, _CONDITIONAL] = Field(
        5, ge=1, le=10_000, description="starts that are considered, and ends for each"
    )
    n_best: Annotated[int, _SPAN] = Field(
        20, ge=1, le=10_000, description="answers kept per question"
    )
    answer_length: Annotated[int, _SPAN] = Field(
        30, ge=1, description="maximum tokens of an answer"
    )
    null_threshold: Annotated[Number, _SPAN] = Field(
        0.0,
        description="no answer if the null score exceeds the best answer's by more than this",
    )
    qa_length: Annotated[int, ReadBy("choose"), SHARED] = Field(
        128, ge=8, description="maximum tokens of question and option; the rest is cut"
    )
    segments: Annotated[
        Literal["qa_first", "passage_first", "one_separator"], ReadBy("choose"), SHARED
    ] = Field(
        "qa_first",
        description="question and option before the passage (fairseq), or after it; "
        "one_separator: after it, with a single token between (fairseq, CommonsenseQA)",
    )
    pooling: Annotated[Literal["first", "sum"], ReadBy("tag")] = Field(
        "first",
        description="a word is represented by its first token, or by the sum of its tokens",
    )

    dev_examples: Annotated[OptionalCount, SHARED] = Field(
        None, description="examples of each dev split that are scored, evenly spread; none: all"
    )
    evaluations: int | PerEpoch = Field(
        4, description="evaluations at equal parts of the schedule, or {per_epoch: N}"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="number format of the forward pass"
    )
    fp16_scale: Annotated[Number, _FP16] = Field(
        2.0**16, gt=0, le=2.0**64, description="initial loss scale of fp16"
    )
    fp16_window: Annotated[int, _FP16] = Field(
        2000, ge=1, description="fp16: steps without overflow after which the loss scale doubles"
    )
    gradient_checkpointing: bool = Field(
        False, description="saves memory at the cost of computation"
    )
    compile: bool = Field(False, description="torch.compile the model")
    micro_batch_tokens: Annotated[
        Annotated[int, Field(ge=8)] | None, BeforeValidator(none_for_false)
    ] = Field(None, description="maximum padded tokens of a micro-batch; none: measured")

    @classmethod
    def read_by_heads(cls) -> dict[str, tuple[Head, ...]]:
        """Return the heads that read a field. All heads read a field that is not listed."""
        return {name: read_by.heads for name, read_by in fields_with(cls, ReadBy).items()}

    @classmethod
    def shared_fields(cls) -> frozenset[str]:
        """Return the fields whose values all trials of a task share."""
        return frozenset(fields_with(cls, Shared))

    @classmethod
    def conditions(cls) -> dict[str, Condition]:
        """Return the conditions under which fields have an effect, for the heads that read them."""
        return fields_with(cls, Condition)

    @classmethod
    def description(cls, name: str) -> str:
        """Return the help text of a field; it begins with the head if only one reads the field."""
        text, read_by = cls.model_fields[name].description or "", fields_with(cls, ReadBy).get(name)
        if read_by is None or not read_by.prefix or len(read_by.heads) > 1:
            return text
        return f"{read_by.heads[0]}: {text}"

    def view_kinds(self) -> frozenset[str]:
        """Return the kinds of views that a trial needs besides the text itself."""
        return frozenset()

    def reads_padding(self) -> bool:
        """Return whether the loss depends on what the model computes of padding."""
        return False

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
        names = fields_with(type(self), ConfigName)
        values = {item.name: getattr(self, field) for field, item in names.items()}
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
