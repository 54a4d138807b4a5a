"""Trials per hour on two cores: raysearch against Hugging Face's hyperparameter_search.

    python benchmarks/trials_per_hour.py [--data DATA] [--python PYTHON] [--baselines plain tuned]

24 trials on the first 768 train and 384 dev rows of MRPC, BERT with 2 layers of width 128 and
random weights, BSZ 32, 2 epochs, evaluated after each, start-up included. The baseline needs the
`bench` extra; --python names an interpreter that has it. DATA holds `glue/MRPC` and
`tokenizers/bert-base-uncased/vocab.txt`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from study_runs import run_study, write_bert

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared" / "data"
MODES = ("plain", "tuned")


def main() -> None:
    """Run the baselines between two runs of ours, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--python", default=sys.executable, help="interpreter for the baseline")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument(
        "--baselines", nargs="*", choices=MODES, default=MODES, help="as people run it, best flags"
    )
    options = parser.parse_args()
    trials, data = options.trials, options.data.resolve()
    first = ours(trials, data)
    others = {mode: baseline(options.python, mode, trials, data) for mode in options.baselines}
    rows = [first, *others.values(), ours(trials, data)]
    print(f"load {os.getloadavg()[0]:.1f} at the end\n")
    print(f"{'':28}{'seconds':>9}{'trials/h':>10}{'loss':>11}")
    for name, seconds, loss in rows:
        print(f"{name:28}{seconds:9.1f}{3600 * trials / seconds:10.0f}{loss:11.4f}")
    mean = (rows[0][1] + rows[-1][1]) / 2
    for mode, row in others.items():
        print(f"ratio to {mode}: {row[1] / mean:.2f}")


def ours(trials: int, data: Path) -> tuple[str, float, float]:
    """Name, wall seconds of the whole process, mean training loss of the second epoch."""
    with tempfile.TemporaryDirectory() as folder:
        write_rows(data / "glue" / "MRPC", Path(folder) / "data" / "MRPC")
        write_model(data / "tokenizers" / "bert-base-uncased", Path(folder) / "model")
        study = (
            f"model: {folder}/model\n"
            "space: {LR: {log: [1e-5, 1e-3]}}\n"
            "fixed: {BSZ: 32, EPOCH: 2, WARMUP: 0, evaluations: 2, max_length: 128}\n"
            f"search: {{sampler: random, trials: {trials}}}\n"
        )
        seconds, events = run_study(Path(folder), study)
        losses = [e["loss"] for e in events if e["event"] == "report" and e["step"] == e["steps"]]
        assert len(losses) == trials, f"{len(losses)} of {trials} trials ended"
        return "raysearch", seconds, sum(losses) / len(losses)


def baseline(python: str, mode: str, trials: int, data: Path) -> tuple[str, float, float]:
    """The same of Hugging Face's search, in a mode of hf_search.py."""
    command = [python, HERE / "hf_search.py", "--mode", mode, "--trials", str(trials)]
    command += ["--data", data]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    return f"hyperparameter_search {mode}", seconds, facts["mean_loss"]


def write_rows(source: Path, folder: Path) -> None:
    """The first rows of MRPC's files in their own format."""
    folder.mkdir(parents=True)
    for name, count in (("train.tsv", 768), ("dev.tsv", 384)):
        with (source / name).open(encoding="utf-8") as file:
            lines = [line for line, _ in zip(file, range(count + 1), strict=False)]
        (folder / name).write_text("".join(lines), encoding="utf-8")


def write_model(tokenizer: Path, folder: Path) -> None:
    """BERT with 2 layers of width 128, random weights, and BERT's own vocabulary."""
    words = tokenizer / "vocab.txt"
    shape = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    write_bert(
        folder, words.read_text(encoding="utf-8").splitlines(), **shape, intermediate_size=512
    )


if __name__ == "__main__":
    main()
