"""The budget of device hours: whether the search may begin one more trial.

It is apart from the proposals because it estimates: what running trials will still need follows
from their own progress, or from the other trials of their task.
"""

from ..recipes import Steps
from ..run_folder import Record, Records
from ..study import Study

PEERS = 32  # the latest trials of a task from which the cost of one without progress is estimated


class DeviceBudget:
    """The device hours that a study's search may spend, and what it has spent.

    Args:
        study: its `search.device_hours` is the budget; None for none.
        records: its trials.
    """

    def __init__(self, study: Study, records: Records) -> None:
        self.study, self.records = study, records
        self._settings: dict[str, tuple[int, float | Steps]] = {}  # trial -> BSZ, EPOCH

    def allows_another(self) -> bool:
        """Return whether one more trial of the search may begin.

        It may while what the search has spent, and what its begun trials will still need, are less
        than the budget, which is thus overrun by less than that trial. As long as the cost of a
        begun trial cannot be told, no other begins.
        """
        search = self.study.search
        if search.device_hours is None:
            return True
        total = self.records.device_hours_of(search.seed)
        for record in self.records.unfinished.values():
            if record.seed != search.seed:  # of the confirmation, which is not in the budget
                continue
            hours = self.hours_left(record)
            if hours is None:
                return False
            total += hours
        return total < search.device_hours

    def hours_left(self, record: Record) -> float | None:
        """Return the device hours that a trial will still need; None if nothing tells them."""
        done = record.step - (record.starts[-1].from_step if record.starts else 0)
        seconds = record.seconds_by_attempt.get(record.attempts, 0.0)
        if record.plan is not None and done > 0 and seconds:
            left = record.plan.steps - record.step
            return seconds * left / done * record.devices / 3600
        peers = [r for r in self._peers(record) if r.step and r.device_hours]
        trained = sum(r.step * self._batch(r) for r in peers)
        examples = self._examples(record, peers)
        if not trained or examples is None:
            return None
        return sum(r.device_hours for r in peers) * examples / trained

    def _peers(self, record: Record) -> list[Record]:
        """Return the latest trials of the same kind that have run here."""
        records = self.records.of(record.task, record.phase)
        return [r for r in records if r.attempts and r.id != record.id][-PEERS:]

    def _examples(self, record: Record, peers: list[Record]) -> float | None:
        """Return how many examples a trial trains on, each as often as it does."""
        batch, epochs = self._setting(record)
        if record.plan is not None:
            return record.plan.steps * batch
        if isinstance(epochs, Steps):
            return epochs.steps * batch
        sizes = [r.plan.per_epoch * self._batch(r) for r in peers if r.plan is not None]
        return epochs * max(sizes) if sizes else None

    def _batch(self, record: Record) -> int:
        return self._setting(record)[0]

    def _setting(self, record: Record) -> tuple[int, float | Steps]:
        """Return a trial's BSZ and EPOCH."""
        if record.id not in self._settings:
            hyper = self.study.resolve(record.task).hyperparameters(record.configuration)
            self._settings[record.id] = hyper.BSZ, hyper.EPOCH
        return self._settings[record.id]
