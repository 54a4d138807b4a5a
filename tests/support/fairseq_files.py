"""Small checkpoints as fairseq writes them, with tokenizers: what `convert` reads."""

import json

import torch

WIDTH, LAYERS, INNER = 128, 2, 96


# Checkpoints: tensors of random numbers under the original names.


def linear(name, rows, columns=WIDTH):
    return {f"{name}.weight": torch.randn(rows, columns) / 9, f"{name}.bias": torch.randn(rows) / 9}


def norm(name, width=WIDTH):
    return {f"{name}.weight": 1 + torch.randn(width) / 9, f"{name}.bias": torch.randn(width) / 9}


def layer(name, *, fused):
    """A layer of fairseq's; `fused` has one projection for queries, keys and values."""
    found = norm(f"{name}.self_attn_layer_norm") | norm(f"{name}.final_layer_norm")
    parts = (
        {"in_proj": 3 * WIDTH} if fused else dict.fromkeys(("q_proj", "k_proj", "v_proj"), WIDTH)
    )
    for part, rows in {**parts, "out_proj": WIDTH}.items():
        found |= linear(f"{name}.self_attn.{part}", rows)
    return found | linear(f"{name}.fc1", INNER) | linear(f"{name}.fc2", WIDTH, INNER)


def sentence_encoder(rows, positions, *, fused=False, layers=LAYERS):
    torch.manual_seed(5)
    found = {
        "embed_tokens.weight": torch.randn(rows, WIDTH) / 9,
        "embed_positions.weight": torch.randn(positions, WIDTH) / 9,
    } | norm("emb_layer_norm")
    for at in range(layers):
        found |= layer(f"layers.{at}", fused=fused)
    return found


def under(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def amos(rows, *, prefix="encoder.", bins=64, layers=LAYERS, positions=40):
    found = sentence_encoder(rows, positions, fused=True, layers=layers)
    found["relative_attention_bias.weight"] = torch.randn(bins, WIDTH // 64)
    return under(f"{prefix}sentence_encoder.", found)


def masked_head(tokens):
    found = linear("lm_head.dense", WIDTH) | norm("lm_head.layer_norm")
    return found | {"lm_head.weight": tokens, "lm_head.bias": torch.randn(len(tokens)) / 9}


def roberta(rows, *, prefix="decoder.", positions=40):
    found = under("sentence_encoder.", sentence_encoder(rows, positions))
    head = masked_head(found["sentence_encoder.embed_tokens.weight"])
    return under(prefix, found | head)


def classification_head(name, labels):
    root = f"classification_heads.{name}"
    return linear(f"{root}.dense", WIDTH) | linear(f"{root}.out_proj", labels)


def cross_thought(rows):
    found = roberta(rows, prefix="encoder.", positions=80)
    for at in range(2):
        root = f"encoder.sentence_encoder.crossthought_layers.{at}"
        found |= layer(root, fused=False)
    return found


# Tokenizers: small ones, trained on a few words.


def write_pieces(folder, texts):
    """Write sp.model, dict.txt and XLM-R's file, and return how many tokens that makes."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*texts] * 20), model_prefix=str(folder / "sp"),
        vocab_size=60, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sp.model"))
    lines = [model.id_to_piece(at) for at in range(3, len(model))]
    (folder / "dict.txt").write_text("".join(f"{line} 7\n" for line in lines), "utf-8")
    (folder / "sentencepiece.bpe.model").write_bytes((folder / "sp.model").read_bytes())
    return len(lines) + 5


def write_pairs(folder, texts):
    """Write vocab.json and merges.txt, and return how many tokens that makes."""
    from tokenizers import ByteLevelBPETokenizer

    backend = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend.train_from_iterator(
        [*texts] * 9, vocab_size=300, special_tokens=special, show_progress=False
    )
    backend.add_special_tokens(["<mask>"])
    backend.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text())
    vocab["<mask>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab))
    return len(vocab)
