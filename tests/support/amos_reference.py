"""AMOS's encoder by its published formulas, in loops."""

import math

import torch

SHAPE = {
    "vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "max_position_embeddings": 140,
}  # fmt: skip


# The published table: distances 0 to 16 have rows 31 to 47, then these open rows 48 to 62.
OPENING = (17, 19, 22, 25, 28, 32, 37, 43, 49, 56, 64, 74, 84, 97, 111)


def published_row(distance):
    away = abs(distance)
    row = 31 + min(away, 16) + sum(first <= away for first in OPENING)
    return row if distance >= 0 else 62 - row


def reference(weights, words, real):
    """The encoder in loops over examples, heads and tokens: [examples, tokens, width].

    Padding is left out of what a token reads, instead of being masked.
    """

    def norm(x, name):
        centred = x - x.sum() / len(x)
        scale = torch.sqrt((centred**2).sum() / len(x) + 1e-5)
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(x, name):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def gelu(x):
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2

    def encode(tokens, is_real):
        states = []
        for at, (token, kept) in enumerate(zip(tokens, is_real, strict=True)):
            word = weights["embeddings.word_embeddings.weight"][token]
            place = weights["embeddings.position_embeddings.weight"][at]
            states.append(norm(word + place, "embeddings.LayerNorm") * kept)
        for layer in range(SHAPE["num_hidden_layers"]):
            states = step(states, is_real, f"encoder.layer.{layer}")
        return torch.stack(states)

    def step(states, is_real, layer):
        width, heads = SHAPE["hidden_size"], SHAPE["num_attention_heads"]
        size = width // heads
        mixed = [dense(x, f"{layer}.attention.self_attn.in_proj") for x in states]
        keys = [at for at, kept in enumerate(is_real) if kept]
        after = []
        for at, x in enumerate(states):
            read = []
            for head in range(heads):
                q, k, v = (slice(n * width + head * size, n * width + (head + 1) * size)
                           for n in range(3))  # fmt: skip
                scores = torch.stack([
                    mixed[at][q] @ mixed[key][k] / math.sqrt(size)
                    + weights["relative_attention_bias.weight"][published_row(key - at), head]
                    for key in keys
                ])  # fmt: skip
                shares = torch.exp(scores - scores.max().detach())
                shares = shares / shares.sum()
                read.append(sum(s * mixed[key][v] for s, key in zip(shares, keys, strict=True)))
            read = dense(torch.cat(read), f"{layer}.attention.self_attn.out_proj")
            x = norm(x + read, f"{layer}.attention.LayerNorm")
            inner = gelu(dense(x, f"{layer}.intermediate.dense"))
            x = norm(x + dense(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
            after.append(x)
        return after

    return torch.stack([encode(*example) for example in zip(words, real, strict=True)])
