"""AnswerHead: the parts that are the same for all heads whose predictions are answers."""

import zlib

from .. import metrics
from ..data.columns import CONTEXT
from ..data.dataset import EncodedDataset
from ..metrics.bootstrap_metrics import AnswerPoints
from ..recipes import Hyperparameters
from ..run_folder.dev_predictions import KeptSplit, answer_columns
from ..tasks import Task
from .span_decoding import Answer, gold_answers
from .task_head import TaskHead


class AnswerHead(TaskHead[dict[str, Answer]]):
    """A head whose predictions are the answer to each question, texts beside gold answers."""

    def score(
        self,
        predictions: dict[str, Answer],
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> dict[str, float]:
        """Return the task's metrics over all questions; see `TaskHead.score`."""
        best = {identity: answer.texts[0] for identity, answer in predictions.items()}
        gold, language = gold_answers(examples), examples.language
        if not task.unanswerable:
            return metrics.squad.score(task.metrics, best, gold, language=language)
        return metrics.squad.score(
            task.metrics,
            best,
            gold,
            nulls={identity: answer.null for identity, answer in predictions.items()},
            threshold=hyper.null_threshold,
            unanswerable=True,
            language=language,
        )

    def kept(
        self,
        predictions: dict[str, Answer],
        examples: EncodedDataset,
        task: Task,
        hyper: Hyperparameters,
    ) -> KeptSplit:
        """Return the answers, what they earn and their contexts; see `TaskHead.kept`."""
        gold = gold_answers(examples)
        best = {identity: predictions[identity].texts[0] for identity in gold}
        nulls = {identity: predictions[identity].null for identity in gold}
        points = AnswerPoints.of(
            best,
            gold,
            nulls=nulls if task.unanswerable else None,
            unanswerable=task.unanswerable,
            language=examples.language,
        )
        contexts: dict[str, str] = {}
        for identity, text in zip(examples.ids(), examples.table.column(CONTEXT), strict=True):
            if identity not in contexts:  # the first row of a question holds the context
                contexts[identity] = text.as_py()
        groups = [zlib.crc32(contexts[identity].encode()) for identity in gold]
        return [*gold], answer_columns([*best.values()], points, groups)
