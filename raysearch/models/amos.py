"""AMOS and COCO-LM as a transformers family: the encoder with each task's head.

It knows no file of the published checkpoints."""

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
    BaseModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from .amos_config import AmosConfig
from .amos_encoder import AmosModel, AmosPreTrainedModel


class AmosHeadLinear(nn.Linear):
    """A layer of a head that is drawn as the configuration's `head_init` says."""


class AmosHead(nn.Module):
    """Scores from the first token: a dense layer, an activation, an output layer."""

    def __init__(self, config: AmosConfig, outputs: int) -> None:
        super().__init__()
        self.dense = AmosHeadLinear(config.hidden_size, config.hidden_size)
        self.activation = ACT2FN[config.head_activation]
        self.out_proj = AmosHeadLinear(config.hidden_size, outputs)
        self.dropout = nn.Dropout(config.classifier_dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[examples, tokens, width] -> [examples, outputs]."""
        inner = self.activation(self.dense(self.dropout(hidden[:, 0])))
        return self.out_proj(self.dropout(inner))


class AmosWithHead(AmosPreTrainedModel):
    """The encoder below a head, and how a head is drawn."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.amos = AmosModel(config)

    def encode(
        self, input_ids: torch.Tensor | None, attention_mask: torch.Tensor | None, **kwargs: Any
    ) -> BaseModelOutput:
        """What the encoder gives, never as a tuple."""
        return self.amos(input_ids, attention_mask, return_dict=True, **kwargs)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AmosHeadLinear) and self.config.head_init == "default":
            bound = module.in_features**-0.5  # as nn.Linear draws itself
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            init.uniform_(module.bias, -bound, bound)


class AmosForSequenceClassification(AmosWithHead):
    """A class or a score for each text."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.classifier = AmosHead(config, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """[examples, tokens] -> logits [examples, labels]."""
        read = self.encode(input_ids, attention_mask, **kwargs)
        logits = self.classifier(read.last_hidden_state)
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=read.hidden_states, attentions=read.attentions
        )


class AmosForMultipleChoice(AmosWithHead):
    """A score for each choice."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.classifier = AmosHead(config, 1)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MultipleChoiceModelOutput:
        """[examples, choices, tokens] -> logits [examples, choices]."""
        given = (input_ids, attention_mask, inputs_embeds)
        ids, mask, embeds = (None if x is None else x.flatten(0, 1) for x in given)
        read = self.encode(ids, mask, inputs_embeds=embeds, **kwargs)
        choices = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]
        logits = self.classifier(read.last_hidden_state).view(-1, choices)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(
            loss=loss, logits=logits, hidden_states=read.hidden_states, attentions=read.attentions
        )


class AmosForTokenClassification(AmosWithHead):
    """A class for each token."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """[examples, tokens] -> logits [examples, tokens, labels]."""
        read = self.encode(input_ids, attention_mask, **kwargs)
        logits = self.classifier(self.dropout(read.last_hidden_state))
        loss = None if labels is None else self.loss_function(logits, labels, self.config)
        return TokenClassifierOutput(
            loss=loss, logits=logits, hidden_states=read.hidden_states, attentions=read.attentions
        )


class AmosForQuestionAnswering(AmosWithHead):
    """How well an answer starts and ends at each token."""

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput:
        """[examples, tokens] -> start_logits and end_logits, each [examples, tokens]."""
        read = self.encode(input_ids, attention_mask, **kwargs)
        start, end = (x.contiguous() for x in self.qa_outputs(read.last_hidden_state).unbind(-1))
        loss = self.loss_function(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(
            loss=loss, start_logits=start, end_logits=end,
            hidden_states=read.hidden_states, attentions=read.attentions,
        )  # fmt: skip


MODELS = {
    AutoModel: AmosModel,
    AutoModelForSequenceClassification: AmosForSequenceClassification,
    AutoModelForMultipleChoice: AmosForMultipleChoice,
    AutoModelForTokenClassification: AmosForTokenClassification,
    AutoModelForQuestionAnswering: AmosForQuestionAnswering,
}
