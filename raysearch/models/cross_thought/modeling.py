"""The Cross-Thought encoder and its heads for transformers (Wang et al., 2020).

RoBERTa's layers read short sequences, each with sentence slots before it; one more layer lets the
slots of several sequences read each other. It is apart from `packing` because it has parameters.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput
from transformers.models.roberta import modeling_roberta as roberta

from .configuration import CrossThoughtConfig
from .packing import (
    async_to_cpu,
    block_diagonal_mask,
    pack_sentences,
    raise_on_bad_rows,
    shifted_positions,
)


class CrossThoughtPreTrainedModel(
    roberta.RobertaPreTrainedModel  # type: ignore[no-untyped-call]  # not typed
):
    """The base class of the models, with RoBERTa's parameter names and initialization."""

    config: CrossThoughtConfig
    # Their masks cannot separate the sentences of a row.
    _supports_flash_attn = _supports_flex_attn = False

    if TYPE_CHECKING:  # transformers does not type these methods

        def __init_subclass__(cls, **kwargs: Any) -> None: ...
        def post_init(self) -> None: ...  # noqa: D102


class CrossThoughtModel(CrossThoughtPreTrainedModel, roberta.RobertaModel):
    """The encoder, without a head.

    A RoBERTa folder loads into it by name, except for `cross`. The rows of the position table are
    loaded too, but used differently: RoBERTa's `<s>` is at row 2 and its words start at 3; here
    slots start at 0 or 1 and words follow them. With five slots, a word takes the row of the word
    two (`matching`) or three (`released`) positions later. Rows 0 and 1 are not trained in RoBERTa;
    here slots use them.
    """

    def __init__(self, config: CrossThoughtConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        # RoBERTa's table has a padding row, 1, that gets no gradient; here a slot uses it.
        self.embeddings.position_embeddings = nn.Embedding(
            config.max_position_embeddings, config.hidden_size
        )
        self.cross = nn.ModuleList(
            roberta.RobertaLayer(config)  # type: ignore[no-untyped-call]  # not typed
            for _ in range(config.cross_layers)
        )
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """Return the embeddings of `embed` as `last_hidden_state`, [texts, slots, width]."""
        return BaseModelOutput(last_hidden_state=self.embed(input_ids, attention_mask))

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return sentence embeddings, [texts, slots, width].

        They are the hidden states of the slots after the base layers, before `cross`. These are
        what `cross` compares, so that a stored embedding can still be fused with that of any other
        sentence.

        Args:
            input_ids: token ids `<s> A </s>`, [texts, length].
            attention_mask: 0 for padding, [texts, length]; None: padding is told by its id.

        Raises:
            ValueError: see `sentences`.
        """
        return self.sentences(input_ids, attention_mask, max_sentences=1)[0][:, 0]

    def sentences(
        self,
        ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        min_sentences: int = 1,
        max_sentences: int = 2,
    ) -> tuple[Tensor, Tensor]:
        """Return the slots after the base layers; each sentence is encoded separately.

        Args:
            ids: token ids `<s> A </s>` or `<s> A </s> <s> B </s>`, padded on the right,
                [rows, length].
            attention_mask: 0 for padding, [rows, length]; None: padding is told by its id.
            min_sentences: the fewest sentences of a row.
            max_sentences: the most sentences of a row.

        Returns:
            The slots, [rows, max_sentences, slots, width], and the sentences that a row has, bool
            [rows, max_sentences].

        Raises:
            ValueError: a row has another form, or a sentence has more tokens than positions.
        """
        real = self._real_tokens(ids, attention_mask)
        rows = pack_sentences(ids, real, min_sentences, max_sentences, self.config)
        checks = async_to_cpu(rows.checks)
        hidden = self.embeddings(rows.ids, position_ids=rows.positions)
        mask = block_diagonal_mask(
            rows.sentence, hidden.dtype, additive=self.config._attn_implementation == "eager"
        )
        hidden = self.encoder(hidden, mask).last_hidden_state
        raise_on_bad_rows(checks, min_sentences, max_sentences, self.config)
        slots = hidden.narrow(1, 0, max_sentences * self.config.slots)
        return slots.unflatten(1, (max_sentences, -1)), rows.present

    def fuse(self, slots: Tensor, present: Tensor | None = None) -> Tensor:
        """Let each slot read the same slot of the sequences of its group.

        This is the first layer of `cross`; without such layers the slots are returned unchanged.

        Args:
            slots: hidden states, [groups, sequences, slots, width].
            present: bool [groups, sequences], the sequences that may be read; None: all.

        Returns:
            [groups, sequences, slots, width].
        """
        if not self.cross:
            return slots
        across, mask = slots.transpose(1, 2).flatten(0, 1), None
        if present is not None:
            present = torch.repeat_interleave(present, slots.shape[2], 0)
            mask = create_bidirectional_mask(
                self.config,
                across,
                present,
                allow_is_bidirectional_skip=False,  # the skip would wait for the device
            )
        fused: Tensor = self.cross[0](across, mask)
        return torch.unflatten(fused, 0, (len(slots), -1)).transpose(1, 2)

    def read(
        self, ids: Tensor, attention_mask: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """Encode running text for pre-training, as short sequences that read each other's slots.

        The words' positions begin at `slots` - 1 + r. In training r is uniform in 1 to
        `highest_offset`, in evaluation 1.

        Args:
            ids: token ids, padded on the right, [blocks, tokens]; blocks do not read each other.
            attention_mask: 0 for padding, [blocks, tokens]; None: there is no padding.
            shift: [blocks] in [0, 1), the draw of each block's r; None: one draw for all blocks.

        Returns:
            The last hidden states, [blocks, tokens, width].
        """
        config, slots, size = self.config, self.config.slots, self.config.short_length
        blocks, tokens = ids.shape
        missing, mask, present = -tokens % size, None, None
        short = functional.pad(ids, (0, missing), value=config.pad_token_id).view(-1, size)
        short = functional.pad(short, (slots, 0), value=config.bos_token_id)
        shift = shift if self.training else torch.zeros(1, device=ids.device)
        hidden = self.embeddings(
            short, position_ids=shifted_positions(config, shift, len(short), ids.device)
        )
        if missing or attention_mask is not None:
            real = self._real_tokens(ids, attention_mask)
            real = functional.pad(real, (0, missing)).view(-1, size)
            present = real.any(1).view(blocks, -1)
            real = functional.pad(real, (slots, 0), value=True)
            mask = create_bidirectional_mask(config, hidden, real)
        hidden = self.encoder(hidden, mask).last_hidden_state
        if self.cross:
            fused = self.fuse(hidden[:, :slots].unflatten(0, (blocks, -1)), present)
            hidden = self.cross[1](torch.cat([fused.flatten(0, 1), hidden[:, slots:]], 1), mask)
        states: Tensor = hidden[:, slots:].reshape(blocks, tokens + missing, -1)
        return states[:, :tokens]

    def _real_tokens(self, ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return the tokens that are no padding, bool [rows, tokens]."""
        if attention_mask is None:
            padding = self.config.pad_token_id
            assert padding is not None, "a configuration without a padding token"
            return torch.ne(ids, padding)
        return attention_mask.bool()


class CrossThoughtForMaskedLM(CrossThoughtPreTrainedModel, roberta.RobertaForMaskedLM):
    """The model for pre-training: RoBERTa's head predicts the masked words of running text."""

    roberta: CrossThoughtModel
    lm_head: nn.Module

    def __init__(self, config: CrossThoughtConfig) -> None:
        roberta.RobertaPreTrainedModel.__init__(self, config)  # builds no RobertaModel
        self.roberta = CrossThoughtModel(config)
        self.lm_head = roberta.RobertaLMHead(config)  # type: ignore[no-untyped-call]
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        shift: Tensor | None = None,
    ) -> MaskedLMOutput:
        """Return the logits of tokens, and the loss if there are labels.

        Args:
            input_ids: token ids, [blocks, tokens].
            attention_mask: 0 for padding, [blocks, tokens]; None: there is no padding.
            labels: the original ids of the tokens to be predicted, [blocks, tokens]; -100
                elsewhere.
            shift: see `CrossThoughtModel.read`.

        Returns:
            With labels, `logits` of the predicted tokens alone, [predicted, vocabulary], and
            `loss`, their mean cross entropy in float32 or more; 0 if there are none. Without
            labels, `logits` of all tokens, [blocks, tokens, vocabulary].
        """
        hidden = self.roberta.read(input_ids, attention_mask, shift)
        if labels is None:
            return MaskedLMOutput(logits=self.lm_head(hidden))
        predicted = torch.ne(labels, -100)
        logits, words = self.lm_head(hidden[predicted]), labels[predicted]
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = functional.cross_entropy(precise, words, reduction="sum") / max(1, len(words))
        return MaskedLMOutput(loss=loss, logits=logits)


class CrossThoughtForSequenceClassification(CrossThoughtPreTrainedModel):
    """The model for texts and pairs: sentences are encoded separately, then fused.

    A sentence that is alone in its row is fused with itself.
    """

    def __init__(self, config: CrossThoughtConfig) -> None:
        super().__init__(config)
        self.roberta = CrossThoughtModel(config)
        head = roberta.RobertaClassificationHead(config)  # type: ignore[no-untyped-call]  # not typed
        if config.fusion == "concatenate":
            head.dense = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.classifier: nn.Module = head
        self.tokens_read = 2 * config.slots  # the first tokens of the last base layer
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Return the logits, and the loss if there are labels.

        Args:
            input_ids: token ids as in `CrossThoughtModel.sentences`, [rows, length].
            attention_mask: 0 for padding, [rows, length]; None: padding is told by its id.
            labels: [rows].

        Returns:
            `logits`: [rows, labels]; `loss`.

        Raises:
            ValueError: see `CrossThoughtModel.sentences`; or a row has one sentence, and the
                embeddings of two are concatenated.
        """
        concatenates = self.config.fusion == "concatenate"
        slots, present = self.roberta.sentences(
            input_ids, attention_mask, min_sentences=1 + concatenates
        )
        fused = self.roberta.fuse(slots, present).mean(2)
        weight = (present / present.sum(1, keepdim=True)).to(fused.dtype)[..., None]
        pooled = fused.flatten(1) if concatenates else (fused * weight).sum(1)
        logits, loss = self.classifier(pooled[:, None]), None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


MODELS = {
    AutoModel: CrossThoughtModel,
    AutoModelForMaskedLM: CrossThoughtForMaskedLM,
    AutoModelForSequenceClassification: CrossThoughtForSequenceClassification,
}
