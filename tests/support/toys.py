"""Toys that many tests share: a tokenizer, tiny encoders, examples of made-up tokens."""

import multiprocessing
from pathlib import Path

import numpy as np

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4


def _like_bert(backend):
    """A tokenizer whose pairs have BERT's special tokens and token types."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), _SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": word for name, word in names.items()},
    )


def toy_tokenizer(known=tuple(f"w{number}" for number in range(80))):
    """A WordPiece tokenizer that knows some words, whole; by default w0 to w79."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: at for at, word in enumerate([*_SPECIAL, *known])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return _like_bert(backend)


_SHAPE = {
    "vocab_size": 85, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip


TOY_CONFIGS = {
    "bert": {},
    "roberta": {"type_vocab_size": 1},
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    "mobilebert": {
        "embedding_size": 8, "intra_bottleneck_size": 8, "true_hidden_size": 8,
        "num_feedforward_networks": 2,
    },
    "xlm-roberta": {"type_vocab_size": 1},
    "deberta-v2": {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
        "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False,
        "type_vocab_size": 0, "pooler_hidden_size": 16,
    },
    "modernbert": {
        "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
        "classifier_pooling": "mean",
    },
    "amos": {"rel_pos_bins": 8, "max_rel_pos": 16},
}  # fmt: skip


def toy_examples(count: int = 50, *, seed: int = 0, labels: str | None = "classes"):
    """Examples of 3 to 14 random tokens; the label tells a low first token, or how
    many there are."""
    import pyarrow as pa

    from raysearch.data.dataset import EncodedDataset

    random = np.random.default_rng(seed)
    rows = [
        [2, *random.integers(5, 30, size).tolist(), 3] for size in random.integers(1, 13, count)
    ]
    columns = {"input_ids": pa.array(rows, pa.list_(pa.int32()))}
    if labels == "classes":
        columns["label"] = pa.array([int(row[1] < 17) for row in rows], pa.int64())
    elif labels == "scores":
        columns["label"] = pa.array([5.0 * len(row) / 14 for row in rows], pa.float32())
    columns["id"] = pa.array([str(at) for at in range(count)])
    return EncodedDataset(pa.table(columns), {"input_ids": 0})


def in_two_processes(work, meeting: Path, *given):
    """What the two workers of a gloo world write down: `work(*given)` gives a mapping of arrays."""
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_one_of_two, args=(n, work, meeting, given)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    return [dict(np.load(f"{meeting}.{rank}.npz")) for rank in (0, 1)]


def _one_of_two(rank: int, work, meeting: Path, given) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    np.savez(f"{meeting}.{rank}.npz", **work(*given))
    dist.destroy_process_group()


def toy_unigram(
    known=tuple(f"w{number}" for number in range(80)), parts=("▁w", "▁", *"w0123456789")
):
    """A Unigram tokenizer with the ids of `toy_tokenizer`, whose words may be divided: w12 is
    w12, w 1 2 and more."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = [(name, 0.0) for name in _SPECIAL]
    pieces += [(f"▁{word}", -4.0) for word in known]
    pieces += [(part, -3.0) for part in parts]
    backend = Tokenizer(models.Unigram(pieces, unk_id=1))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    return _like_bert(backend)
