"""The Cross-Thought encoder (Wang et al., 2020) as a transformers family: RoBERTa's layers over
short sequences, each with sentence slots in front, and a layer in which the slots of several
sequences read each other. It knows token ids, neither text nor tokenizers."""

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


class CrossThoughtPreTrainedModel(roberta.RobertaPreTrainedModel):
    """RoBERTa's names of parameters and its first weights."""

    config: CrossThoughtConfig
    # Their masks do not keep the sentences of a row apart.
    _supports_flash_attn = _supports_flex_attn = False


class CrossThoughtModel(CrossThoughtPreTrainedModel, roberta.RobertaModel):
    """The encoder.

    A RoBERTa folder loads into it by name, all but `cross`, and so does its position table, whose
    rows it reads otherwise: RoBERTa's `<s>` is at 2 and its words go from 3; here slots go from 0
    or 1 and words from behind them. With five slots a word takes the row of the word two
    (`matching`) or three (`released`) places on; rows 0 and 1, untrained there, are slots'.
    """

    def __init__(self, config: CrossThoughtConfig) -> None:
        super().__init__(config, add_pooling_layer=False)
        # RoBERTa's table has a padding row, 1, that no gradient reaches: here a slot's.
        self.embeddings.position_embeddings = nn.Embedding(
            config.max_position_embeddings, config.hidden_size
        )
        self.cross = nn.ModuleList(roberta.RobertaLayer(config) for _ in range(config.cross_layers))
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> BaseModelOutput:
        """The sentence embeddings of `embed`, [texts, slots, width], as `last_hidden_state`."""
        return BaseModelOutput(last_hidden_state=self.embed(input_ids, attention_mask))

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Rows `<s> A </s>`, [texts, length] -> sentence embeddings, [texts, slots, width].

        They are the slots after the base layers, before `cross`: what `cross` compares are these,
        so that a stored one can still be fused with that of any other sentence.
        """
        return self.sentences(input_ids, attention_mask, most=1)[0][:, 0]

    def sentences(
        self, ids: Tensor, attention_mask: Tensor | None = None, *, least: int = 1, most: int = 2
    ) -> tuple[Tensor, Tensor]:
        """The slots after the base layers, of each sentence on its own.

        Args:
            ids: [rows, length], `<s> A </s>` or `<s> A </s> <s> B </s>`, padded on the right.
            least, most: sentences in a row.

        Returns:
            [rows, most, slots, width], and which of them there are: bool [rows, most].

        Raises:
            ValueError: a row of another form, or a sentence longer than the positions reach.
        """
        rows = pack_sentences(ids, self._real(ids, attention_mask), least, most, self.config)
        seen = async_to_cpu(rows.seen)
        hidden = self.embeddings(rows.ids, position_ids=rows.positions)
        mask = block_diagonal_mask(
            rows.sentence, hidden.dtype, added=self.config._attn_implementation == "eager"
        )
        hidden = self.encoder(hidden, mask).last_hidden_state
        raise_on_bad_rows(seen, least, most, self.config)
        slots = hidden.narrow(1, 0, most * self.config.slots)
        return slots.unflatten(1, (most, -1)), rows.present

    def fuse(self, slots: Tensor, present: Tensor | None = None) -> Tensor:
        """Let each slot read the same slot of the sequences of its group, by `cross`'s first layer.

        Args:
            slots: [groups, sequences, slots, width].
            present: bool [groups, sequences], those that may be read; none: all.
        """
        if not self.cross:
            return slots
        across, mask = slots.transpose(1, 2).flatten(0, 1), None
        if present is not None:
            present = present.repeat_interleave(slots.shape[2], 0)
            mask = create_bidirectional_mask(
                self.config, across, present,
                allow_is_bidirectional_skip=False,  # it would wait for the device
            )  # fmt: skip
        return self.cross[0](across, mask).unflatten(0, (len(slots), -1)).transpose(1, 2)

    def read(
        self, ids: Tensor, attention_mask: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """Pre-training: running text in short sequences that read each other's slots.

        The words' positions begin at `slots` - 1 + r. In training r is uniform in 1 to
        `highest_offset`, in evaluation 1.

        Args:
            ids: [blocks, tokens], padded on the right; a block reads nothing of another.
            shift: [blocks], from 0 to below 1, a block's place in that range; none: one draw.

        Returns:
            Last states, [blocks, tokens, width].
        """
        config, slots, size = self.config, self.config.slots, self.config.short_length
        blocks, tokens = ids.shape
        rest, mask, alive = -tokens % size, None, None
        short = functional.pad(ids, (0, rest), value=config.pad_token_id).view(-1, size)
        short = functional.pad(short, (slots, 0), value=config.bos_token_id)
        shift = shift if self.training else torch.zeros(1, device=ids.device)
        hidden = self.embeddings(
            short, position_ids=shifted_positions(config, shift, len(short), ids.device)
        )
        if rest or attention_mask is not None:
            real = functional.pad(self._real(ids, attention_mask), (0, rest)).view(-1, size)
            alive = real.any(1).view(blocks, -1)
            real = functional.pad(real, (slots, 0), value=True)
            mask = create_bidirectional_mask(config, hidden, real)
        hidden = self.encoder(hidden, mask).last_hidden_state
        if self.cross:
            fused = self.fuse(hidden[:, :slots].unflatten(0, (blocks, -1)), alive)
            hidden = self.cross[1](torch.cat([fused.flatten(0, 1), hidden[:, slots:]], 1), mask)
        return hidden[:, slots:].reshape(blocks, tokens + rest, -1)[:, :tokens]

    def _real(self, ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        return ids != self.config.pad_token_id if attention_mask is None else attention_mask.bool()


class CrossThoughtForMaskedLM(CrossThoughtPreTrainedModel, roberta.RobertaForMaskedLM):
    """Pre-training: the masked words of `CrossThoughtModel.read`, by RoBERTa's head."""

    def __init__(self, config: CrossThoughtConfig) -> None:
        roberta.RobertaPreTrainedModel.__init__(self, config)  # builds no RobertaModel
        self.roberta = CrossThoughtModel(config)
        self.lm_head = roberta.RobertaLMHead(config)
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None,
        labels: Tensor | None = None, shift: Tensor | None = None,
    ) -> MaskedLMOutput:  # fmt: skip
        """With labels, [blocks, tokens], -100 where nothing is predicted: logits [predicted,
        vocabulary] of the others alone, and their mean cross entropy (0 of none), at least float32.
        Without: logits of all, [blocks, tokens, vocabulary]."""
        hidden = self.roberta.read(input_ids, attention_mask, shift)
        if labels is None:
            return MaskedLMOutput(logits=self.lm_head(hidden))
        predicted = labels != -100
        logits, words = self.lm_head(hidden[predicted]), labels[predicted]
        precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = functional.cross_entropy(precise, words, reduction="sum") / max(1, len(words))
        return MaskedLMOutput(loss=loss, logits=logits)


class CrossThoughtForSequenceClassification(CrossThoughtPreTrainedModel):
    """Sentences encoded apart, then fused; one that is alone in its row is fused with itself."""

    def __init__(self, config: CrossThoughtConfig) -> None:
        super().__init__(config)
        self.roberta = CrossThoughtModel(config)
        self.classifier = roberta.RobertaClassificationHead(config)
        if config.fusion == "concatenate":
            self.classifier.dense = nn.Linear(2 * config.hidden_size, config.hidden_size)
        self.tokens_read = 2 * config.slots  # of the last base layer, from the first
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Rows as `CrossThoughtModel.sentences` takes them -> logits [rows, labels].
        Raises ValueError for other rows, and for a sentence alone where two are concatenated."""
        beside = self.config.fusion == "concatenate"
        slots, present = self.roberta.sentences(input_ids, attention_mask, least=1 + beside)
        fused = self.roberta.fuse(slots, present).mean(2)
        share = (present / present.sum(1, keepdim=True)).to(fused.dtype)[..., None]
        pooled = fused.flatten(1) if beside else (fused * share).sum(1)
        logits, loss = self.classifier(pooled[:, None]), None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return SequenceClassifierOutput(loss=loss, logits=logits)


MODELS = {
    AutoModel: CrossThoughtModel,
    AutoModelForMaskedLM: CrossThoughtForMaskedLM,
    AutoModelForSequenceClassification: CrossThoughtForSequenceClassification,
}
