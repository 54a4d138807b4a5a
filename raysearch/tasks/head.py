"""The facts of each head, the kind of a task's output, that need neither torch nor transformers.

They are apart from `raysearch.heads`, which computes with them, because studies are checked and
predictions are scored without torch.
"""

from dataclasses import dataclass
from typing import Literal

Head = Literal["classify", "regress", "choose", "span", "cloze", "tag", "thought"]


@dataclass(frozen=True, kw_only=True)
class HeadFacts:
    """What is true of a head, whatever the task and the model.

    Attributes:
        name: the name in a task's row, and in messages.
        output: what it predicts, in words; shown for a task that has no list of labels.
        label_name: what a single prediction is called in messages.
        model_classes: the ends of the names of transformers' classes that have it; the first one
            that a family has is used. A later one gives a score to each option by itself.
        variant_fields: the hyperparameters that select a variant of it. They are stored in a
            model's configuration.
        outputs: the number of scores; None: one for each of the task's labels, or a single one.
        numeric_labels: whether labels are numbers instead of indices.
        labels_examples: whether an example as a whole has one label, a class or a number that means
            the same in every example; not an index of its own options.
        labels_words: whether each word has a label.
        extracts_answers: whether the label is a part of the text that is read.
        answers_questions: whether predictions are texts that earn points beside gold answers.
        groups_options: whether an example has a row for each of its options, scored together.
        splits_examples: whether an example becomes several rows, each trained on by itself: windows
            of a text that is too long, or a row for each candidate.
        joins_examples: whether examples are joined into blocks, whatever their lengths.
        row_name: what the rows of an example are called in messages.
        reads_first_token: whether no other token of the last layer is read.
        masks_tokens: whether tokens are masked and predicted, so that a mask token is needed.
        writes_embeddings: whether embeddings of the encoder are written as predictions, so that a
            model without a trained head predicts too.
        shared_input: the input that several examples of a file may share, such as the passage of
            their questions; None if there is none.
        length_field: the hyperparameter that limits a part of a row besides `max_length`; None if
            there is none.
        usual_length: the `max_length` that papers use for it, which a new study begins with.
    """

    name: Head
    output: str
    label_name: str = "label"
    model_classes: tuple[str, ...]
    variant_fields: tuple[str, ...] = ()
    outputs: int | None = None
    numeric_labels: bool = False
    labels_examples: bool = False
    labels_words: bool = False
    extracts_answers: bool = False
    answers_questions: bool = False
    groups_options: bool = False
    splits_examples: bool = False
    joins_examples: bool = False
    row_name: str = "rows"
    reads_first_token: bool = False
    masks_tokens: bool = False
    writes_embeddings: bool = False
    shared_input: str | None = None
    length_field: str | None = None
    usual_length: int = 128

    @property
    def keeps_examples(self) -> bool:
        """Return whether the files' examples are those of training, neither split nor joined."""
        return not (self.splits_examples or self.joins_examples)


HEAD_FACTS: dict[Head, HeadFacts] = {
    facts.name: facts
    for facts in (
        HeadFacts(
            name="classify",
            output="a class",
            model_classes=("ForSequenceClassification",),
            labels_examples=True,
            reads_first_token=True,
        ),
        HeadFacts(
            name="regress",
            output="a number",
            model_classes=("ForSequenceClassification",),
            numeric_labels=True,
            labels_examples=True,
            reads_first_token=True,
        ),
        HeadFacts(
            name="choose",
            output="an option",
            label_name="choice",
            model_classes=("ForMultipleChoice", "ForSequenceClassification"),
            groups_options=True,
            reads_first_token=True,
            shared_input="passage",
            length_field="qa_length",
            usual_length=512,
        ),
        HeadFacts(
            name="tag",
            output="a tag for each word",
            label_name="tag",
            model_classes=("ForTokenClassification",),
            variant_fields=("pooling",),
            labels_words=True,
            splits_examples=True,
        ),
        HeadFacts(
            name="span",
            output="a part of the context",
            label_name="answer",
            model_classes=("ForQuestionAnswering",),
            variant_fields=("span_head",),
            outputs=2,
            extracts_answers=True,
            answers_questions=True,
            splits_examples=True,
            row_name="windows",
            shared_input="context",
            length_field="query_length",
            usual_length=384,
        ),
        HeadFacts(
            name="cloze",
            output="an entity for the blank",
            label_name="answer",
            model_classes=("ForSequenceClassification",),
            outputs=2,
            answers_questions=True,
            splits_examples=True,
            row_name="entities",
            reads_first_token=True,
            shared_input="passage",
        ),
        HeadFacts(
            name="thought",
            output="the masked tokens",
            label_name="token",
            model_classes=("ForMaskedLM",),
            joins_examples=True,
            masks_tokens=True,
            writes_embeddings=True,
        ),
    )
}
