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
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import ModelOutput, can_return_tuple

from .configuration import AmosConfig
from .modeling import AmosModel, AmosPreTrainedModel


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
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """The encoder's last states, and what else it gives that every output passes on."""
        read = self.amos(input_ids, attention_mask, return_dict=True, **kwargs)
        passed_on = {"hidden_states": read.hidden_states, "attentions": read.attentions}
        return read.last_hidden_state, passed_on

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AmosHeadLinear) and self.config.head_init == "default":
            bound = module.in_features**-0.5  # as nn.Linear draws itself
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            init.uniform_(module.bias, -bound, bound)


class AmosClassifier(AmosWithHead):
    """Scores of the labels, and the loss that transformers has for the class."""

    output: type[ModelOutput]

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Last states, [examples, tokens, width] -> logits."""
        return self.classifier(hidden)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> ModelOutput:
        """[examples, tokens] -> logits [examples, labels], or [examples, tokens, labels]."""
        hidden, passed_on = self.encode(input_ids, attention_mask, **kwargs)
        logits, loss = self.scores(hidden), None
        if labels is not None:  # transformers' losses of texts and of tokens name them otherwise
            loss = self.loss_function(
                logits=logits, pooled_logits=logits, labels=labels, config=self.config
            )
        return self.output(loss=loss, logits=logits, **passed_on)


class AmosForSequenceClassification(AmosClassifier):
    """A class or a score for each text."""

    output = SequenceClassifierOutput

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.classifier = AmosHead(config, config.num_labels)
        self.post_init()


class AmosForTokenClassification(AmosClassifier):
    """A class for each token."""

    output = TokenClassifierOutput

    def __init__(self, config: AmosConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Behind a dropout."""
        return super().scores(self.dropout(hidden))


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
        hidden, passed_on = self.encode(ids, mask, inputs_embeds=embeds, **kwargs)
        choices = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]
        logits = self.classifier(hidden).view(-1, choices)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(loss=loss, logits=logits, **passed_on)


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
        hidden, passed_on = self.encode(input_ids, attention_mask, **kwargs)
        start, end = (x.contiguous() for x in self.qa_outputs(hidden).unbind(-1))
        loss = self.loss_function(start, end, start_positions, end_positions)
        return QuestionAnsweringModelOutput(
            loss=loss, start_logits=start, end_logits=end, **passed_on
        )


MODELS = {
    AutoModel: AmosModel,
    AutoModelForSequenceClassification: AmosForSequenceClassification,
    AutoModelForMultipleChoice: AmosForMultipleChoice,
    AutoModelForTokenClassification: AmosForTokenClassification,
    AutoModelForQuestionAnswering: AmosForQuestionAnswering,
}
