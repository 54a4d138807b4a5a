"""A callback that notes its calls as plain values."""

import raysearch


class CallLog(raysearch.Callback):
    """Notes each call with what it shows of the run at that moment."""

    def __init__(self):
        self.calls = []

    def on_trial_start(self, run, record):
        self._note("start", run, record)

    def on_report(self, run, record, report):
        assert record.reports[-1] is report
        self._note("report", run, record, report.step, dict(report.scores))

    def on_trial_end(self, run, record):
        self._note("end", run, record, record.score, record.device_hours)

    def on_run_end(self, run):
        ended = [record.id for record in run.records.trials.values() if record.is_over]
        self.calls.append(("run end", run.study.name, run.interrupted, ended))

    def _note(self, kind, run, record, *more):
        assert run.records.trials[record.id] is record
        over = sum(other.is_over for other in run.records.trials.values())
        self.calls.append((kind, record.id, record.status, record.attempts, over, *more))

    def of(self, trial):
        """The kinds of the calls of a trial, a report as its step."""
        return [
            call[5] if call[0] == "report" else call[0] for call in self.calls if call[1] == trial
        ]
