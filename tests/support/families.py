"""Tiny configurations of many families of encoders, and batches of toy tokens for them."""

from raysearch.data.device_batches import word_starts

SMALL = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "pad_token_id": 1, "max_position_embeddings": 64,
}  # fmt: skip
_OWN = {"vocab_size": 60, "pad_token_id": 1}  # families with other names for their sizes
_HALVES = {
    **_OWN, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "eos_token_id": 2,
    "decoder_start_token_id": 2,
}  # fmt: skip
_SENTENCE_PIECES = {
    "vocab_size": 60, "d_model": 32, "num_layers": 2, "num_heads": 2, "d_kv": 16, "d_ff": 32,
    "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}  # fmt: skip
_LANGUAGES = {**_OWN, "emb_dim": 32, "n_layers": 2, "n_heads": 2, "n_langs": 1}
_DISTANCES = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}

FAMILIES = {
    "albert": {**SMALL, "embedding_size": 16},
    "amos": {**SMALL, "rel_pos_bins": 8, "max_rel_pos": 16},
    "bart": _HALVES,
    "bert": SMALL,
    "camembert": SMALL,
    "canine": SMALL,
    "cross_thought": {**SMALL, "max_position_embeddings": 128, "bos_token_id": 0,
                      "eos_token_id": 2},
    "data2vec-text": SMALL,
    "deberta": {**SMALL, **_DISTANCES},
    "deberta-v2": {**SMALL, **_DISTANCES, "position_buckets": 16, "norm_rel_ebd": "layer_norm",
                   "share_att_key": True, "conv_kernel_size": 3},
    "distilbert": {**_OWN, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": {**SMALL, "embedding_size": 16},
    "fnet": SMALL,
    "funnel": {**_OWN, "block_sizes": [1, 1], "d_model": 32, "n_head": 2, "d_head": 16,
               "d_inner": 32},
    "gpt2": {**_OWN, "n_embd": 32, "n_layer": 2, "n_head": 2, "bos_token_id": 0,
             "eos_token_id": 2},
    "longformer": {**SMALL, "attention_window": [4, 4]},
    "megatron-bert": SMALL,
    "mobilebert": {**SMALL, "embedding_size": 16, "true_hidden_size": 16,
                   "intra_bottleneck_size": 16},
    "modernbert": {**SMALL, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3,
                   "sep_token_id": 3},
    "mpnet": SMALL,
    "rembert": {**SMALL, "input_embedding_size": 16},
    "roberta": SMALL,
    "t5": _SENTENCE_PIECES,
    "xlm": _LANGUAGES,
    "xlm-roberta": SMALL,
    "xlnet": {"vocab_size": 60, "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 32},
}  # fmt: skip

# What begins the hub name of a model that a shipped study names -> its family.
FAMILY_OF_NAME = {
    "albert": "albert", "bert": "bert", "google/bert": "bert", "microsoft/MiniLM": "bert",
    "google/electra": "electra", "google/mobilebert": "mobilebert", "roberta": "roberta",
    "xlm-roberta": "xlm-roberta", "xlnet": "xlnet", "microsoft/deberta-v": "deberta-v2",
    "microsoft/deberta": "deberta", "microsoft/cocolm": "amos", "cocolm": "amos",
    "microsoft/amos": "amos", "amos": "amos",
    "cross-thought": "cross_thought", "answerdotai/ModernBERT": "modernbert",
    "jhu-clsp/mmBERT": "modernbert",
}  # fmt: skip
OPTIONS = 3  # of each example of the head "choose"


def token_batch(config, head, lengths=(16, 16), width=None):
    """Return a batch of random tokens as a head reads it, padded on the right.

    Args:
        config: the configuration of the model.
        head: the head.
        lengths: the tokens of each example.
        width: the tokens of a padded row; by default those of the longest example.
    """
    import torch

    kind, width = config.model_type, width or max(lengths)
    padding = getattr(config, "pad_token_id", None) or 0
    ids = torch.full((len(lengths), width), padding)
    words = torch.randint(5, min(50, config.vocab_size), (len(lengths), max(lengths)),
                          generator=torch.Generator().manual_seed(1))  # fmt: skip
    real = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length], real[row, :length] = words[row, :length], 1
        if kind == "cross_thought" and head != "thought":  # <s> A </s> <s> B </s>
            ids[row, [0, 6]], ids[row, [5, length - 1]] = config.bos_token_id, config.eos_token_id
        if kind in ("bart", "t5"):
            ids[row, length - 1] = config.eos_token_id
    if head == "choose":
        ids, real = (x[:, None].repeat(1, OPTIONS, 1) for x in (ids, real))
    batch = {"input_ids": ids, "attention_mask": real}
    if head == "tag":
        word = torch.arange(width).expand(len(lengths), width)
        batch["word"] = word.masked_fill(real == 0, -1)
        batch["word_starts"] = torch.from_numpy(word_starts(batch["word"].numpy()))
    if head == "span":
        batch |= {"at": torch.full((len(lengths),), 2), "count": torch.tensor(lengths) - 7}
    return batch
