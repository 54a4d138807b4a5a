"""The hyperparameters of stabletune, and the configuration of a trial's teacher.

They are apart from the losses because studies are read without torch.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..search_space import Number
from .field_metadata import SHARED, ReadBy
from .hyperparameters import Epochs, Hyperparameters, Rate, none_for_false

View = Literal["same", "subwords", "switch", "noise", "translation"]
Weight = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
_TEXT_VIEWS = ("subwords", "switch", "translation")  # views whose text differs
# View -> the hyperparameters that only this view reads.
_READ_BY_VIEWS = {
    "subwords": ("subword_ratio", "subword_alpha"),
    "switch": ("switch_ratio",),
    "noise": ("noise", "noise_size"),
}


class StabletuneHyperparameters(Hyperparameters):
    """The hyperparameters of fine-tuning, and those of views, copies and the teacher."""

    stages: Literal[1, 2] = Field(
        2, description="1: the first stage only; 2: the second stage, with a teacher from stage 1"
    )
    lambda1: Weight = Field(5.0, description="weight of R1, the agreement of both views")
    lambda2: Weight = Field(
        1.0, description="weight of R2, the agreement with the teacher on augmented copies"
    )
    view: Annotated[View, SHARED] = Field(
        "subwords",
        description="the other view: another division of words into subwords, code-switching, "
        "noise on embeddings, a translation, or the same text with another dropout",
    )
    corpus: Annotated[
        Literal["subwords", "switch", "translation", None], BeforeValidator(none_for_false), SHARED
    ] = Field("subwords", description="how augmented copies of stage 2 are made; none: no copies")
    corpus_size: Annotated[Number, Field(gt=0, le=100)] = Field(
        1.0, description="augmented copies per training example"
    )
    subword_ratio: Share = Field(0.3, description="share of the words with another division")
    subword_alpha: Weight = Field(
        0.3,
        description="1: divisions have the tokenizer's probabilities; 0: all are equally probable",
    )
    switch_ratio: Share = Field(
        0.3, description="share of the words that are looked up in a dictionary"
    )
    noise: Literal["normal", "uniform"] = Field(
        "uniform", description="distribution of the noise on word embeddings"
    )
    noise_size: Weight = Field(
        1e-5, description="standard deviation of normal noise, half the width of uniform noise"
    )
    hard_labels: Annotated[bool, ReadBy("classify", "tag")] = Field(
        False, description="R2: compare with the teacher's best class instead of its scores"
    )
    span_padding: Annotated[Literal["masked", "counted"], ReadBy("span")] = Field(
        "masked",
        description="R1 and R2 over real tokens, or over padding too (released code)",
    )
    teacher: Annotated[str | None, BeforeValidator(none_for_false), SHARED] = Field(
        None, description="folder with the model of stage 1; none: it is trained first"
    )
    teacher_select: Literal["best", "last"] = Field(
        "best", description="evaluation of stage 1 whose weights are the teacher"
    )
    teacher_view: Annotated[View | None, BeforeValidator(none_for_false), SHARED] = Field(
        None, description="stage 1's view; none: the same"
    )
    teacher_lambda1: Annotated[Weight | None, BeforeValidator(none_for_false), SHARED] = Field(
        None, description="stage 1's lambda1; none: the same"
    )
    teacher_LR: Annotated[Rate | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's LR; none: the same"
    )
    teacher_EPOCH: Annotated[Epochs | None, BeforeValidator(none_for_false)] = Field(
        None, description="stage 1's EPOCH; none: the same"
    )
    span_head: Annotated[Literal["plain"], ReadBy("span"), SHARED] = Field(
        "plain", description="start and end scores (BERT)"
    )

    def examples_per_epoch(self, examples: int) -> int:
        """Return the number of training examples and of their augmented copies."""
        copies = self.corpus_size if self.stages == 2 and self.corpus else 0
        return examples + math.ceil(copies * examples)

    def view_kinds(self) -> frozenset[str]:
        """Return the kinds of views whose text differs, of both stages."""
        return self._kinds() & frozenset(_TEXT_VIEWS)

    def reads_padding(self) -> bool:
        """Return whether R1 and R2 are over the padding of spans too."""
        return self.span_padding == "counted"

    def ineffective_fields(self) -> frozenset[str]:
        """Return the fields that have no effect given the other values.

        Stage 1 has no copies and no teacher; each kind of view has fields of its own.
        """
        used = self._kinds()
        unused = [names for kind, names in _READ_BY_VIEWS.items() if kind not in used]
        fields = {name for names in unused for name in names}
        if self.stages == 1:
            fields.update(_STAGE_2 if self.lambda1 else (*_STAGE_2, "view"))
        return frozenset(fields)

    def _kinds(self) -> frozenset[str]:
        """Return the kinds of views of both stages."""
        kinds: set[str] = {self.view} if self.lambda1 else set()
        if self.examples_per_epoch(1) > 1 and self.corpus:
            kinds.add(self.corpus)
        if configuration := teacher_configuration(self):
            kinds |= StabletuneHyperparameters.model_validate(configuration)._kinds()
        return frozenset(kinds)


_STAGE_1 = ("view", "lambda1", "LR", "EPOCH")  # fields that may have another value in stage 1
_STAGE_2 = (
    "lambda2", "corpus", "corpus_size", "hard_labels", "teacher",
    *(f"teacher_{name}" for name in _STAGE_1),
)  # fmt: skip


def teacher_configuration(hyper: StabletuneHyperparameters) -> dict[str, Any] | None:
    """Return the configuration of the trial of stage 1 whose model is the teacher.

    Fields without effect there are left out, so that trials which differ in them share a teacher.

    Args:
        hyper: of the trial of stage 2.

    Returns:
        The configuration; None if the trial needs no teacher or names a folder with one.
    """
    if hyper.examples_per_epoch(1) == 1 or not hyper.lambda2 or hyper.teacher:
        return None
    values = hyper.model_dump(mode="json", exclude_defaults=True)
    stage_1 = {name: values.pop(f"teacher_{name}", None) for name in _STAGE_1}
    values |= {"stages": 1} | {name: value for name, value in stage_1.items() if value is not None}
    ineffective = StabletuneHyperparameters.model_validate(values).ineffective_fields()
    return {name: value for name, value in values.items() if name not in ineffective}
