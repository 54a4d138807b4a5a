"""Tiny configurations of many families of encoders, with random weights: toys for the tests."""

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
