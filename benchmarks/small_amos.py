r"""Makes a small AMOS as fairseq would leave it: random weights, pieces trained on a text.

python benchmarks/small_amos.py --text DATA/text/train.txt --to FILES
raysearch convert FILES/model.pt --to small-amos
raysearch run search_spaces/amos-glue.yaml --model small-amos --data DATA --tasks glue/mrpc \
        --trials 2 --set precision=fp32 --set EPOCH=4 --set max_length=128
"""

import argparse
from pathlib import Path

import torch

from raysearch.models import scratch

LAYERS, WIDTH, BINS = 2, 128, 64


def main() -> None:
    """Write model.pt, sp.model and dict.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help="a sentence or passage a line")
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    lines = given.text.read_text(encoding="utf-8").splitlines()
    tokenizer = scratch.train_tokenizer("scratch-amos", lines)
    tokenizer.save_vocabulary(str(given.to))
    arguments = argparse.Namespace(arch="amos_base", encoder_attention_heads=2, max_rel_pos=128)
    torch.save({"args": arguments, "model": weights(len(tokenizer))}, given.to / "model.pt")
    print(f"{len(tokenizer):,} tokens from {len(lines):,} lines, in {given.to}")


def weights(words: int) -> dict[str, torch.Tensor]:
    """Random tensors under the names of fairseq's AMOS."""
    torch.manual_seed(0)
    shapes = {
        "embed_tokens.weight": (words, WIDTH),
        "embed_positions.weight": (512, WIDTH),
        "relative_attention_bias.weight": (BINS, WIDTH // 64),
    }
    norms = ["emb_layer_norm"]
    for at in range(LAYERS):
        layer = f"layers.{at}"
        for name, (rows, columns) in {
            "self_attn.in_proj": (3 * WIDTH, WIDTH),
            "self_attn.out_proj": (WIDTH, WIDTH),
            "fc1": (4 * WIDTH, WIDTH),
            "fc2": (WIDTH, 4 * WIDTH),
        }.items():
            shapes |= {f"{layer}.{name}.weight": (rows, columns), f"{layer}.{name}.bias": (rows,)}
        norms += [f"{layer}.self_attn_layer_norm", f"{layer}.final_layer_norm"]
    found = {n: 0.02 * torch.randn(shape) if len(shape) > 1 else torch.zeros(shape)
             for n, shape in shapes.items()}  # fmt: skip
    for name in norms:
        found |= {f"{name}.weight": torch.ones(WIDTH), f"{name}.bias": torch.zeros(WIDTH)}
    return {f"encoder.sentence_encoder.{name}": tensor for name, tensor in found.items()}


if __name__ == "__main__":
    main()
