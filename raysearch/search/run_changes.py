"""What has changed between the start of a run and its resumption.

It is apart from `run_study` because it only compares.
"""

from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError, Problem
from ..run_folder import Records, trial_identity
from ..study import Study


def changes_since(
    folder: Path, study: Study, records: Records, facts: dict[str, Any], content: dict[str, str]
) -> list[Problem]:
    """Return what has changed since the trials of a run were trained.

    Args:
        folder: the run folder.
        study: as it is now.
        records: the trials of the run.
        facts: the provenance of the run.
        content: of the study now, see
            `run_study`; empty if it is not known. If it is the same, a
            model with another name is only the same model at another location.
    """
    problems = []
    if facts["raysearch"] != __version__:
        text = f"begun by raysearch {facts['raysearch']}, this is {__version__}: not comparable"
        problems.append(Problem(location="version", text=text))
    before, is_same_model = facts["content"], bool(content)
    for key, now in content.items():
        if (then := before.get(key, now)) == now:
            continue
        name, kind = key.partition(" ")[0], " of its teachers" if " " in key else ""
        (model, data), (model_now, data_now) = (c.partition("-")[::2] for c in (then, now))
        changed = [f"model '{study.resolve(name).model}'"] if model != model_now else []
        is_same_model = is_same_model and not changed
        changed += ["data"] if data != data_now else []
        text = f"the {' and the '.join(changed)}{kind} changed since the run began"
        text += "; its trials would not compare: put back what was there, or begin another run"
        problems.append(Problem(location=name, text=text))
    try:
        origin = trial_identity.read_origin(folder, facts)
        trial_identity.refuse_others(str(folder), study, records, origin, places=not is_same_model)
    except InputError as error:
        problems += error.problems
    return problems
