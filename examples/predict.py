"""Predict with a winner's folder: the benchmark's submission file, and single texts.

    python examples/predict.py runs/minilm-glue/glue-rte/best glue/rte DATA

The folder holds the settings that prediction needs. It is an ordinary transformers folder, so that
its model can also be loaded without raysearch; `import raysearch` makes AMOS and Cross-Thought
known to the Auto classes.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import raysearch


def submission(folder: Path, task: str, data: Path, to: Path) -> list[Path]:
    """Write the predictions of a task's test splits, and return the files."""
    return raysearch.predict(folder, to=to, data=data, names=[task], note=print)


def classify(folder: Path, *texts: str) -> dict[str, float]:
    """Return the probability of each class for a text, or for a pair of texts."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(*texts, truncation=True, return_tensors="pt")).logits[0]
    names = (model.config.id2label[index] for index in range(len(logits)))
    return dict(zip(names, logits.softmax(-1).tolist(), strict=True))


def main() -> None:
    """Predict the test set, then one pair of texts."""
    folder, task, data = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    for path in submission(folder, task, data, Path("submission")):
        print(path)
    print(classify(folder, "A man is playing a guitar.", "A man plays an instrument."))


if __name__ == "__main__":
    main()
