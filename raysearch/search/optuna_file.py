"""The file `study.db`: a task's search as an Optuna study, for Optuna's own tools.

It is apart from `samplers` because it relies on Optuna's tables: through Optuna's own methods each
trial takes dozens of queries, which count the trials before it.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from ..run_folder import Record
from ..storage import write_atomically
from .samplers import OptunaStudy


def export(path: Path, name: str, optuna_study: OptunaStudy, records: list[Record]) -> None:
    """Write the ended trials as an Optuna study.

    It is built in memory and then written at once: no path becomes part of a database URL, in which
    `?` and `%` have a meaning, and on a full disk the old file stays.

    Args:
        path: of the database file.
        name: of the study in it.
        optuna_study: converts the records.
        records: the trials of the search.

    Raises:
        OSError: the file cannot be written.
    """
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    options = {"creator": lambda: connection, "poolclass": StaticPool}
    storage = RDBStorage("sqlite://", engine_kwargs=options)
    try:
        study = optuna.create_study(
            study_name=name, storage=storage, directions=optuna_study.directions
        )
        trials = [optuna_study.frozen(record) for record in records if record.is_over]
        with Session(storage.engine) as session:
            _add(session, study._study_id, trials)
            session.commit()
        storage.remove_session()
        content = connection.serialize()
    finally:
        storage.remove_session()
        storage.engine.dispose()
        connection.close()
    write_atomically(path, content)


def _add(session: Session, study: int, trials: Sequence[FrozenTrial]) -> None:
    """Add trials to a study without any, table by table."""
    tables: dict[type[Any], list[dict[str, Any]]] = {}
    for number, trial in enumerate(trials):
        session.add(
            models.TrialModel(
                trial_id=number + 1,
                number=number,
                study_id=study,
                state=trial.state,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
            )
        )
        for table, row in _rows(number, trial):
            tables.setdefault(table, []).append(row)
    session.flush()
    for table, rows in tables.items():
        session.execute(insert(table), rows)


def _rows(index: int, trial: FrozenTrial) -> Iterator[tuple[type[Any], dict[str, Any]]]:
    """Yield the rows of a trial in the tables of what it has: each table, and the row's values.

    Args:
        index: the trial's number in the study, from 0.
        trial: an ended trial.
    """
    values, reports = models.TrialValueModel, models.TrialIntermediateValueModel
    key = {"trial_id": index + 1}
    for objective, number in enumerate(trial.values or ()):
        value, kind = values.value_to_stored_repr(number)
        yield values, {**key, "objective": objective, "value": value, "value_type": kind}
    for name, param in trial.params.items():
        distribution = trial.distributions[name]
        internal = {
            "param_value": distribution.to_internal_repr(param),
            "distribution_json": distribution_to_json(distribution),
        }
        yield models.TrialParamModel, {**key, "param_name": name, **internal}
    for table, attributes in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        for name, attribute in attributes.items():
            yield table, {**key, "key": name, "value_json": json.dumps(attribute)}
    for step, score in trial.intermediate_values.items():
        stored, kept_kind = reports.intermediate_value_to_stored_repr(score)
        shown = {"intermediate_value": stored, "intermediate_value_type": kept_kind}
        yield reports, {**key, "step": step, **shown}
