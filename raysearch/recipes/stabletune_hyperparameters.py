"""The hyperparameters of stabletune, and the trial of its first stage that teaches one of its
second."""

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ..search_space import Number
from ..tasks import Head
from .hyperparameters import Epochs, Hyperparameters, Rate, none_for_false

View = Literal["same", "subwords", "switch", "noise", "translation"]
Weight = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
_MADE = ("subwords", "switch", "translation")  # views whose text differs
# View -> the hyperparameters that only it reads.
_READ = {
    "subwords": ("subword_ratio", "subword_alpha"),
    "switch": ("switch_ratio",),
    "noise": ("noise", "noise_size"),
}


class StabletuneHyperparameters(Hyperparameters):
    """Fine-tuning's, and what consistency adds."""

    READ_BY_HEADS: ClassVar[dict[str, tuple[Head, ...]]] = {
        **Hyperparameters.READ_BY_HEADS,
        "hard_labels": ("classify", "tag"),
        "span_padding": ("span",),
    }

    stages: Literal[1, 2] = Field(2, description="1: the first stage alone; 2: taught by its model")
    lambda1: Weight = Field(5.0, description="weight of both views' agreement, R1")
    lambda2: Weight = Field(1.0, description="weight of the teacher's word on copies, R2")
    view: View = Field(
        "subwords", description="the other view: words divided anew, code-switched, its embeddings "
        "noised, translated, or the same under another dropout",
    )  # fmt: skip
    corpus: Annotated[
        Literal["subwords", "switch", "translation", None], BeforeValidator(none_for_false)
    ] = Field("subwords", description="how stage 2 makes augmented copies; none: no copies")
    corpus_size: Annotated[Number, Field(gt=0, le=100)] = Field(
        1.0, description="augmented copies for each training example"
    )
    subword_ratio: Share = Field(0.3, description="share of the words that are divided anew")
    subword_alpha: Weight = Field(
        0.3, description="1: as probable as the tokenizer has a division, 0: all alike"
    )
    switch_ratio: Share = Field(0.3, description="share of the words that are looked up to switch")
    noise: Literal["normal", "uniform"] = Field("uniform", description="of word embeddings")
    noise_size: Weight = Field(1e-5, description="its standard deviation, or half its width")
    hard_labels: bool = Field(False, description="R2: the teacher's best class, not its scores")
    span_padding: Literal["masked", "counted"] = Field(
        "masked", description="span: R1 and R2 over real tokens, or over padding too (released)"
    )
    teacher: Annotated[str | None, BeforeValidator(none_for_false)] = Field(
        None, description="a folder with stage 1's model; none: it is trained first"
    )
    teacher_select: Literal["best", "last"] = Field("best", description="which of its evaluations")
    teacher_view: Annotated[View | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's view; none: the same"
    )
    teacher_lambda1: Annotated[Weight | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's lambda1; none: the same"
    )
    teacher_LR: Annotated[Rate | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's LR; none: the same"
    )
    teacher_EPOCH: Annotated[Epochs | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's EPOCH; none: the same"
    )
    span_head: Literal["plain"] = Field("plain", description="span: start and end scores (BERT)")

    def examples_per_epoch(self, examples: int) -> int:
        """The training examples, and behind them their augmented copies."""
        copies = self.corpus_size if self.stages == 2 and self.corpus else 0
        return examples + math.ceil(copies * examples)

    def view_kinds(self) -> frozenset[str]:
        """The kinds of views that differ in text, of both stages."""
        return self._kinds() & frozenset(_MADE)

    def ineffective_fields(self) -> frozenset[str]:
        """See Hyper: stage 1 knows no copies and no teacher, each kind of view its own fields."""
        used = self._kinds()
        found = {name for kind, names in _READ.items() if kind not in used for name in names}
        if self.stages == 1:
            found.update(_STAGE_2 if self.lambda1 else (*_STAGE_2, "view"))
        return frozenset(found)

    def _kinds(self) -> frozenset[str]:
        """The kinds of views of both stages."""
        used = {self.view} if self.lambda1 else set()
        if self.examples_per_epoch(1) > 1:
            used.add(self.corpus)
        if first := teacher_configuration(self):
            used |= StabletuneHyperparameters.model_validate(first)._kinds()
        return frozenset(used)


_STAGE_1 = ("view", "lambda1", "LR", "EPOCH")  # fields that stage 1 may have otherwise
_STAGE_2 = (
    "lambda2", "corpus", "corpus_size", "hard_labels", "teacher",
    *(f"teacher_{name}" for name in _STAGE_1),
)  # fmt: skip


def teacher_configuration(hyper: StabletuneHyperparameters) -> dict[str, Any] | None:
    """The configuration of the trial whose model teaches: what cannot matter there is left out, so
    that trials which differ in it share one. None where a trial needs no teacher or is given one.
    """
    if hyper.examples_per_epoch(1) == 1 or not hyper.lambda2 or hyper.teacher:
        return None
    values = hyper.model_dump(mode="json", exclude_defaults=True)
    own = {name: values.pop(f"teacher_{name}", None) for name in _STAGE_1}
    values |= {"stages": 1} | {name: value for name, value in own.items() if value is not None}
    unread = StabletuneHyperparameters.model_validate(values).ineffective_fields()
    return {name: value for name, value in values.items() if name not in unread}
