"""The table of all heads, by the name in a task's row."""

from typing import Any

from ..tasks import Head
from .cloze import Cloze
from .masked_lm import MaskedLM
from .multiple_choice import MultipleChoice
from .question_answering import QuestionAnswering
from .regression import Regression
from .sequence_classification import SequenceClassification
from .task_head import TaskHead
from .token_classification import TokenClassification

HEADS: dict[Head, TaskHead[Any]] = {
    head.name: head
    for head in (
        SequenceClassification(),
        Regression(),
        MultipleChoice(),
        TokenClassification(),
        QuestionAnswering(),
        Cloze(),
        MaskedLM(),
    )
}
