"""A study run by the command as a user runs it, and a small BERT for it.

It is apart from the scripts that measure such runs.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-c", "from raysearch.cli.commands import main; main()", "run")


def run_study(
    folder: Path,
    study: str,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[float, list[dict[str, Any]]]:
    """Run a study of MRPC on the data in a folder.

    Args:
        folder: holds `data`; gets the study, its cache and its runs.
        study: the text of the study, without its tasks.
        options: further options of `raysearch run`.
        environment: variables that are added to this process's.

    Returns:
        The wall seconds of the command, and the events of the journal.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    path = folder / "mrpc.yaml"
    path.write_text(f"tasks: [glue/mrpc]\n{study}")
    variables = {**os.environ, "RAYSEARCH_CACHE": f"{folder}/cache", **(environment or {})}
    command = [*COMMAND, str(path), "--data", f"{folder}/data", "--storage", f"{folder}/runs"]
    began = time.perf_counter()
    subprocess.run([*command, *options], check=True, env=variables, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    journal = (folder / "runs" / "mrpc" / "journal.jsonl").read_text().splitlines()
    return seconds, [json.loads(line) for line in journal]


def write_bert(folder: Path, words: Sequence[str], **shape: int) -> None:
    """Write a BERT with random weights as a transformers folder.

    Args:
        folder: where.
        words: BERT's own vocabulary, or another with its special tokens.
        shape: settings of BertConfig.
    """
    import torch
    from transformers import BertConfig, BertForPreTraining, BertTokenizerFast

    torch.manual_seed(0)  # so that the losses of two runs can be compared
    vocabulary = {word: index for index, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocabulary), **shape)
    BertForPreTraining(config).save_pretrained(folder)
