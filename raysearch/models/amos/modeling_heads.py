"""AMOS and COCO-LM for transformers: the encoder with the head of each kind of task.

It is apart from the encoder because it is loaded through transformers' Auto classes, which it
names.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import (
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from .configuration import AmosConfig
from .modeling import AmosModel, AmosPreTrainedModel


class AmosHeadLinear(nn.Linear):
    """A linear layer of a head; the configuration's `head_init` decides how it is drawn."""


class AmosHead(nn.Module):
    """A head on the first token: a dense layer, an activation, an output layer."""

    def __init__(self, config: AmosConfig, outputs: int) -> None:
        super().__init__()
        self.dense = AmosHeadLinear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.head_activation]
        self.out_proj = AmosHeadLinear(config.hidden_size, outputs)
        self.dropout = nn.Dropout(config.classifier_dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the scores, [examples, outputs].

        Args:
            hidden: [examples, tokens, width].
        """
        inner = self.activation(self.dense(self.dropout(hidden[:, 0])))
        scores: torch.Tensor = self.out_proj(self.dropout(inner))
        return scores


class AmosWithHead(AmosPreTrainedModel):
    """The base class of an encoder with a head."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.amos = AmosModel(config)

    def encode(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, **kwargs: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the last hidden states, and the encoder's outputs that every model returns too.

        Args:
            input_ids: token ids, [examples, tokens].
            attention_mask: 0 for padding, [examples, tokens]; None: there is no padding.
            kwargs: passed on to the encoder.
        """
        outputs = self.amos(input_ids, attention_mask, return_dict=True, **kwargs)
        passed_on = {"hidden_states": outputs.hidden_states, "attentions": outputs.attentions}
        return outputs.last_hidden_state, passed_on

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AmosHeadLinear) and self.config.head_init == "default":
            bound = module.in_features**-0.5  # as nn.Linear draws its weights
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            init.uniform_(module.bias, -bound, bound)


class AmosClassifier(AmosWithHead):
    """The base class of classifiers: scores of the labels, and transformers' loss of the class."""

    classifier: nn.Module
    output: type[SequenceClassifierOutput] | type[TokenClassifierOutput]

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Args:
            hidden: [examples, tokens, width].
        """
        logits: torch.Tensor = self.classifier(hidden)
        return logits

    @can_return_tuple  # type: ignore[untyped-decorator]  # not typed
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | TokenClassifierOutput:
        """Return the logits, and the loss if there are labels.

        Args:
            input_ids: token ids, [examples, tokens].
            attention_mask: 0 for padding, [examples, tokens]; None: there is no padding.
            labels: [examples], or [examples, tokens] for tokens.
            kwargs: passed on to the encoder.

        Returns:
            `logits`: [examples, labels], or [examples, tokens, labels] for tokens; `loss`.
        """
        hidden, passed_on = self.encode(input_ids, attention_mask, **kwargs)
        logits, loss = self.scores(hidden), None
        if labels is not None:  # the losses of texts and of tokens name the logits differently
            loss = self.loss_function(
                logits=logits, pooled_logits=logits, labels=labels, config=self.config
            )
        return self.output(loss=loss, logits=logits, **passed_on)


class AmosForSequenceClassification(AmosClassifier):
    """The encoder with a class or a score for each text."""

    output = SequenceClassifierOutput

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.classifier = AmosHead(config, _label_count(config))
        self.post_init()


class AmosForTokenClassification(AmosClassifier):
    """The encoder with a class for each token."""

    output = TokenClassifierOutput

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, _label_count(config))
        self.post_init()

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits, after a dropout of the hidden states."""
        return super().scores(self.dropout(hidden))


class AmosForMultipleChoice(AmosWithHead):
    """The encoder with a score for each choice."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.classifier = AmosHead(config, 1)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]  # not typed
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MultipleChoiceModelOutput:
        """Return the logits of the choices, and the loss if there are labels.

        Args:
            input_ids: token ids, [examples, choices, tokens].
            attention_mask: 0 for padding, [examples, choices, tokens]; None: there is no padding.
            labels: the index of the right choice, [examples].
            inputs_embeds: word embeddings instead of `input_ids`,
                [examples, choices, tokens, width].
            kwargs: passed on to the encoder.

        Returns:
            `logits`: [examples, choices]; `loss`.

        Raises:
            ValueError: not exactly one of `input_ids` and `inputs_embeds` is given.
        """
        inputs = (input_ids, attention_mask, inputs_embeds)
        ids, mask, embeds = (None if x is None else x.flatten(0, 1) for x in inputs)
        hidden, passed_on = self.encode(ids, mask, inputs_embeds=embeds, **kwargs)
        choices = next(x.shape[1] for x in (input_ids, inputs_embeds) if x is not None)
        logits = self.classifier(hidden).view(-1, choices)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(loss=loss, logits=logits, **passed_on)


class AmosForQuestionAnswering(AmosWithHead):
    """The encoder with a start and an end score for each token."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]  # not typed
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput:
        """Return the start and end logits, and the loss if there are positions.

        Args:
            input_ids: token ids, [examples, tokens].
            attention_mask: 0 for padding, [examples, tokens]; None: there is no padding.
            start_positions: the gold start tokens, [examples].
            end_positions: the gold end tokens, [examples].
            kwargs: passed on to the encoder.

        Returns:
            `start_logits`, `end_logits`: [examples, tokens]; `loss`.
        """
        hidden, passed_on = self.encode(input_ids, attention_mask, **kwargs)
        start, end = (x.contiguous() for x in self.qa_outputs(hidden).unbind(-1))
        loss = self.loss_function(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(
            loss=loss, start_logits=start, end_logits=end, **passed_on
        )


def _label_count(config: AmosConfig) -> int:
    """Return the number of labels; transformers' type allows None, which it never is here."""
    assert config.num_labels is not None, "a configuration without labels"
    return config.num_labels


MODELS = {
    AutoModel: AmosModel,
    AutoModelForSequenceClassification: AmosForSequenceClassification,
    AutoModelForMultipleChoice: AmosForMultipleChoice,
    AutoModelForTokenClassification: AmosForTokenClassification,
    AutoModelForQuestionAnswering: AmosForQuestionAnswering,
}
