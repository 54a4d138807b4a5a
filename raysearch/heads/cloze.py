"""Entities for the blank of a query: the one whose row is the surest to be right."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from ..data.columns import ENTITY
from ..data.dataset import EncodedDataset
from ..data.encoders import cloze
from ..recipes import Hyperparameters
from ..storage import write_atomically
from ..tasks import Split, Task
from .answer_head import AnswerHead
from .span_decoding import Answer
from .submission_files import json_line, submission_path


class Cloze(AnswerHead):
    """Two scores for each entity, wrong and right; predictions are the best entity of each query.

    In training every entity is an example, as in P-tuning v2 and jiant.
    """

    name = "cloze"
    purpose = "chooses entities for a blank"
    encoder = cloze.ENCODER

    def decode(
        self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters
    ) -> dict[str, Answer]:
        """Return query id -> its entities, the best first; of equal ones in their order."""
        margins = outputs[:, 1] - outputs[:, 0]
        entities = examples.table.column(ENTITY)
        answers = {}
        for identity, group in groupby(enumerate(examples.ids()), key=lambda pair: pair[1]):
            rows = sorted((row for row, _ in group), key=lambda row: -margins[row])
            answers[identity] = Answer(
                texts=tuple(entities[row].as_py() for row in rows),
                scores=tuple(float(margins[row]) for row in rows),
                null=0.0,
            )
        return answers

    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: dict[str, Answer],
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write an object for each query, with its `idx` and the entity; see `TaskHead.write`."""
        lines = [json_line(i, answer.texts[0]) for i, answer in predictions.items()]
        path = submission_path(folder, split)
        write_atomically(path, "\n".join(lines) + "\n")
        return [path]
