"""Answers to questions: parts of the context that is read with each of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.encoders import question_answering
from ..recipes import Hyperparameters
from ..storage import write_atomically
from ..tasks import Split, Task
from .answer_head import AnswerHead
from .span_averaging import average_conditional, average_plain
from .span_decoding import Answer, answer_files, decode_answers, span_outputs
from .span_modeling import attach_conditional_head, attach_span_head
from .submission_files import submission_path
from .task_head import Batch, Mean


class QuestionAnswering(AnswerHead):
    """A score for each token as start and as end; predictions are the answer to each question.

    The plain head scores both apart (BERT). The conditional head scores the end given the start,
    and whether there is an answer (XLNet, ELECTRA, GluonNLP).
    """

    name = "span"
    purpose = "finds answers in a text"
    encoder = question_answering.ENCODER

    def has_own_modules(self, variant: Mapping[str, str]) -> bool:
        """Return whether the head is conditional, which none of transformers' classes has."""
        return variant.get("span_head") == "conditional"

    def attach(self, model: Any, variant: Mapping[str, str]) -> None:
        """Let a model give the scores of starts and ends; see `TaskHead.attach`."""
        if self.has_own_modules(variant):
            attach_conditional_head(model)
        else:
            attach_span_head(model)

    def forward(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return the most likely starts and ends of each window; see `span_outputs`."""
        return span_outputs(model, batch, hyper)

    def are_finite(self, outputs: np.ndarray) -> bool:
        """Return whether the null scores are finite.

        Other outputs are infinite where a window has too few tokens.
        """
        return bool(np.isfinite(outputs[:, :1]).all())

    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> dict[str, Answer]:
        """Return question id -> its answer."""
        return decode_answers(outputs, examples, hyper)

    def predict_average(
        self, mean: Mean, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> dict[str, Answer]:
        """Return the answers of the mean scores of each token; see `TaskHead.predict_average`."""
        average = average_conditional if hyper.span_head == "conditional" else average_plain
        return self.decode(average(mean, examples, hyper), examples, hyper)

    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: dict[str, Answer],
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write answers as JSON, and the further files of SQuAD's script; see `TaskHead.write`.

        The further files are written only if the benchmark's own file is called predictions too.
        """
        path, files = submission_path(folder, split), answer_files(predictions, task, hyper)
        written = files if path.stem == "predictions" else {"predictions": files["predictions"]}
        paths = []
        for name, content in written.items():
            paths.append(path if name == "predictions" else path.with_name(f"{name}.json"))
            write_atomically(paths[-1], json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        return paths
