"""Masked tokens of plain text, for pre-training; the predictions are sentence embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .. import metrics
from ..data.dataset import EncodedDataset
from ..data.encoders import masked_lm
from ..data.masked_blocks import LABELS, NOT_MASKED
from ..recipes import Hyperparameters
from ..run_folder.dev_predictions import KeptSplit, masked_columns
from ..storage import write_atomically
from ..tasks import Split, Task
from .submission_files import submission_path
from .task_head import Batch, TaskHead


class MaskedLM(TaskHead[np.ndarray]):
    """A score for each word of the vocabulary at each masked token.

    A block of text is scored by its masked tokens; a line of text is predicted as its embedding.
    """

    name = "thought"
    purpose = "predicts masked words"
    encoder = masked_lm.ENCODER

    def forward(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return each block's log-likelihood of its masked tokens, the hits and their number.

        Returns:
            float32 [blocks, 3].
        """
        labels = batch.pop(LABELS)
        log_probabilities = model(**batch, labels=labels).logits.float().log_softmax(-1)
        masked = labels != NOT_MASKED
        block = masked.nonzero(as_tuple=True)[0]
        gold = labels[masked]
        likelihood = log_probabilities.gather(1, gold[:, None])[:, 0]
        hits = log_probabilities.argmax(-1) == gold
        terms = torch.stack([likelihood, hits, torch.ones_like(likelihood)], 1)
        return torch.zeros(len(labels), 3, device=terms.device).index_add_(0, block, terms)

    def forward_to_write(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return the sentence embeddings of Cross-Thought, float32 [lines, slots * width].

        A line is truncated where the model's positions or `max_length` end. The embedding is the
        hidden states of the line's slots, concatenated.

        Args:
            model: a Cross-Thought model.
            batch: `input_ids` and `attention_mask` of lines of text, [lines, tokens].
            hyper: the trial's configuration.
        """
        config, ids, real = model.config, batch["input_ids"], batch["attention_mask"]
        max_tokens = min(hyper.max_length, config.longest_sentence) - 1
        ids, real = ids[:, :max_tokens].clone(), real[:, :max_tokens]
        last = real.sum(1, keepdim=True) - 1
        ids.scatter_(1, last, config.eos_token_id)  # a truncated line has lost it
        ids = functional.pad(ids, (1, 0), value=config.bos_token_id)
        slots: torch.Tensor = model.base_model.embed(ids, functional.pad(real, (1, 0), value=1))
        return slots.flatten(1).float()

    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> np.ndarray:
        """Return the outputs themselves: sums over masked tokens, or embeddings."""
        return outputs

    def score(
        self,
        predictions: np.ndarray,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> dict[str, float]:
        """Return the task's metrics over all masked tokens; see `TaskHead.score`."""
        return metrics.masked_lm.score(task.metrics, predictions)

    def kept(
        self,
        predictions: np.ndarray,
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> KeptSplit:
        """Return the sums of each block, whose id is its number; see `TaskHead.kept`."""
        return [str(number) for number in range(len(predictions))], masked_columns(predictions)

    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: np.ndarray,
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write embeddings as parquet with the columns `id` and `embedding`.

        Args:
            folder: see `TaskHead.write`.
            task: not used.
            split: see `TaskHead.write`.
            ids: the ids of the lines.
            predictions: the embeddings, float32 [lines, size].
            hyper: not used.
        """
        import pyarrow as pa
        from pyarrow import parquet

        values = pa.array(predictions.ravel())
        column = pa.FixedSizeListArray.from_arrays(values, predictions.shape[1])
        stream = pa.BufferOutputStream()
        parquet.write_table(pa.table({"id": list(ids), "embedding": column}), stream)
        path = submission_path(folder, split)
        write_atomically(path, stream.getvalue().to_pybytes())
        return [path]
