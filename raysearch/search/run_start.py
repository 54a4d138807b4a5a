"""A run before it starts: what stands in its way, where it goes, what its trials are trained with.

It is apart from `run_study` because a dry run asks the same and starts nothing; it needs no Ray.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from .. import preflight
from .. import study as studies
from ..errors import InputError, Problem
from ..preflight import Lanes, Survey
from ..recipes import RECIPES
from ..run_folder import Records, opening
from ..run_folder.remote_files import fetch_models
from ..storage.uris import cache_folder, join
from ..study import Study
from ..study.model_names import scratch_shape
from .cluster_options import ClusterOptions
from .lengthening import trials_problems, with_trials
from .new_run import RunLocation, location_problems
from .reuse import OtherRuns, Reuse
from .run_changes import changes_since
from .sampler_choice import SamplerChoice
from .teacher_store import TeacherStore


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """A run that nothing stands in the way of, new or resumed; nothing of it is written yet.

    Attributes:
        choice: the study, with the labels of its own tasks, and its sampler.
        data: the data folder.
        survey: what was found in the data.
        lanes: how many, and how large.
        cluster: on which it runs.
        content: see `content_of`.
        reused: the names of the runs that it reuses.
        answers: the trials that these runs can answer; None if none is to be reused.
        location: of its run folder.
        text: of a new run the study as its file will have it.
    """

    choice: SamplerChoice
    data: Path
    survey: Survey
    lanes: Lanes
    cluster: ClusterOptions
    content: dict[str, str]
    reused: Sequence[str]
    answers: Reuse | None
    location: RunLocation
    text: str = ""

    @classmethod
    def of(
        cls,
        study: Study,
        *,
        data: str | Path,
        storage: str | Path,
        name: str | None,
        address: str | None,
        lanes: Lanes | int | None,
        wait_for_nodes: float | None,
        reuse: str | Path | Sequence[str | Path],
        sampler: Any,
        dry: bool = False,
    ) -> Self:
        """Return the start of a new run.

        Args:
            study: see `run_study.run`, as for the others.
            data: the data folder.
            storage: the folder of run folders.
            name: of the run folder.
            address: of a cluster.
            lanes: how many, or how many and how large.
            wait_for_nodes: seconds.
            reuse: other runs.
            sampler: in place of the study's.
            dry: nothing is to run. Else a file is written at a URI and deleted, to see whether that
                can be done, and models may be left to be checked, see `_model_problems`.

        Raises:
            InputError: everything that stands in the way.
        """
        data, lanes = Path(data), Lanes.coerce(lanes) or Lanes()
        cluster = ClusterOptions.of(address, wait_for_nodes)
        fetch_models(study)
        study, _ = preflight.with_labels(study, data)  # its problems are the survey's too
        choice, others = SamplerChoice.of(study, sampler), OtherRuns(reuse, storage)
        study, name = choice.study, study.name if name is None else name
        survey = preflight.survey(study, data)
        problems, location = location_problems(str(storage), name), None
        if not problems:
            location = RunLocation.of(join(str(storage), name))
            problems = location.problems(probe=not dry)
        folder = location.folder if location else None
        problems += [*run_problems(choice, survey, folder, lanes, cluster), *others.problems]
        problems += _model_problems(study, problems, dry or not cluster.is_local)
        if problems or location is None:
            raise InputError(study.name, problems)
        text, content = studies.checked_dump(study), content_of(study, data)
        return cls(
            choice=choice,
            data=data,
            survey=survey,
            lanes=lanes,
            cluster=cluster,
            content=content,
            reused=others.names,
            answers=others.answering(study, content),
            location=location,
            text=text,
        )

    @classmethod
    def again(
        cls,
        folder: Path,
        study: Study,
        facts: dict[str, Any],
        records: Records,
        *,
        data: str | Path | None,
        storage: str | Path,
        cluster: ClusterOptions,
        lanes: Lanes | int | None,
        trials: int | None,
        reuse: str | Path | Sequence[str | Path] | None,
        sampler: Any,
        dry: bool = False,
    ) -> Self:
        """Return the start of a resumed run.

        Args:
            folder: the run folder.
            study: of the run.
            facts: its provenance.
            records: its trials.
            data: see `run_study.resume`, as for the others.
            storage: of the run folder.
            cluster: on which it runs.
            lanes: how many, or how many and how large.
            trials: the number of configurations per task.
            reuse: other runs.
            sampler: in place of the study's.
            dry: see `of`.

        Raises:
            InputError: everything that stands in the way, and what has changed since the start.
        """
        fetch_models(study)
        choice = SamplerChoice.of(study, sampler)
        study, data = choice.study, Path(data or facts["data"])
        lanes = Lanes.coerce(lanes) or Lanes(**facts["lanes"])
        others = OtherRuns(facts["reuse"] if reuse is None else reuse, storage, folder)
        survey = preflight.survey(study, data)
        problems = run_problems(choice, survey, folder, lanes, cluster)
        problems += others.problems if reuse is not None else []  # a run of the start may be gone
        problems += [] if trials is None else trials_problems(folder, study, records, trials)
        content = {} if problems else content_of(study, data)
        problems += changes_since(folder, study, records, facts, content)
        problems += _model_problems(study, problems, dry or not cluster.is_local)
        if problems:
            raise InputError(str(folder), problems)
        _refuse_misfits(folder, study, records)
        answers = others.answering(study, content, needed=reuse is not None)
        study = study if trials is None else with_trials(study, trials)
        return cls(
            choice=replace(choice, study=study),
            data=data,
            survey=survey,
            lanes=lanes,
            cluster=cluster,
            content=content,
            reused=others.names,
            answers=answers,
            location=RunLocation.of(str(folder)),
        )


def read_start(folder: Path) -> tuple[Study, dict[str, Any]]:
    """Return the study and the provenance of a run folder.

    Raises:
        InputError: it is not a run folder, or its files are damaged.
    """
    opening.refuse_other_folders(folder, opening.STUDY, opening.PROVENANCE)
    facts = opening.read_provenance(folder)
    return studies.load(opening.study_file(folder)), facts


def _refuse_misfits(folder: Path, study: Study, records: Records) -> None:
    """Refuse trials that do not fit the study, and chains whose weights are lost."""
    from .chain_starts import lost_starts  # imports Optuna

    opening.refuse_misfits(folder, study, records, resumed=True)
    if problems := lost_starts(folder, study, records):
        raise InputError(str(folder), problems)


def run_problems(
    choice: SamplerChoice,
    survey: Survey,
    folder: Path | None,
    lanes: Lanes,
    cluster: ClusterOptions,
) -> list[Problem]:
    """Return every problem that can be found without Ray and without the code of models.

    Args:
        choice: the study, and the sampler that was given.
        survey: of the study and its data.
        folder: the run folder; None if it is not known.
        lanes: how many, and how large.
        cluster: the resources of this machine are checked; nodes of others come and go.
    """
    study = choice.study
    problems = [problem for model in study.models for problem in preflight.hub_problems(model)]
    problems += choice.problems
    problems += survey.problems
    problems = list(dict.fromkeys(problems))
    problems += _disk_problems(study, folder)
    problems += cluster.problems()
    problems += preflight.lane_problems(lanes, cluster.resources)
    return problems


def _model_problems(study: Study, problems: Sequence[Problem], now: bool) -> list[Problem]:
    """Return what the pretrained models cannot read or answer, besides problems that are known.

    The code of models takes seconds to import. Where nothing else stands in the way of a run on
    this machine, `BackgroundPreparation` asks the same while Ray and the lanes start; on a cluster
    no node is to be started for a study that cannot be trained.

    Args:
        study: the study.
        problems: the other ones.
        now: whether they are needed before Ray starts.
    """
    if not (problems or now):
        return []
    found = suitability_problems(study)
    return [problem for problem in found if problem not in problems]


def suitability_problems(study: Study) -> list[Problem]:
    """Return what the pretrained models that can be found cannot read or answer.

    Of a model from scratch the survey checks what can be wrong.
    """
    models = {name: study.resolve(name).model for name in study.tasks}
    unread = {m for m in study.models if preflight.hub_problems(m) or preflight.model_problems(m)}
    unread |= set(filter(scratch_shape, study.models))
    pretrained = [name for name, model in models.items() if model not in unread]
    if not pretrained:
        return []
    from ..models import suitability

    return suitability.suitability_problems(study, pretrained)


def content_of(study: Study, data: Path) -> dict[str, str]:
    """Return the identities of what the trials of a study are trained with.

    Returns:
        Task -> identity of its model, of its training and dev data, and of what views are made
        from; "TASK teach" -> that of its teachers, whose views may be others.
    """
    models = {model: preflight.model_fingerprint(model) for model in study.models}
    recipe, content = RECIPES[study.recipe], {}
    for name in study.tasks:
        hyper = study.resolve(name).shared
        trained = {name: hyper}
        if configuration := recipe.teacher_configuration(hyper):
            trained[f"{name} teach"] = recipe.hyper.model_validate(configuration)
        fingerprints = preflight.data_fingerprints(study.resolve(name), data).values()
        for key, trial_hyper in trained.items():
            views = preflight.view_fingerprint(study.task(name), data, trial_hyper)
            parts = filter(None, [models[study.resolve(name).model], *fingerprints, views])
            content[key] = "-".join(parts)
    return content


def _disk_problems(study: Study, folder: Path | None) -> Iterator[Problem]:
    """Yield the first problem of each folder that is to hold weights, and that of the cache."""
    confirm = study.confirm
    needs = [(folder, preflight.weight_folders(study), "storage")] if folder else []
    if any(study.resolve(name).teacher_configuration({}) for name in study.tasks):
        teachers = 1 + len(confirm.choose) + len(confirm.seeds)
        needs.append((TeacherStore().folder, teachers, "RAYSEARCH_CACHE"))
    for parent, weights, location in needs:
        by_model = (preflight.disk_problems(parent, m, weights, location) for m in study.models)
        yield from next(filter(None, by_model), [])
    if all(location != "RAYSEARCH_CACHE" for _, _, location in needs):
        yield from preflight.folder_problems(cache_folder(), "RAYSEARCH_CACHE")
