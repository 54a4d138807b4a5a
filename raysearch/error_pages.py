"""Which page of the documentation explains a problem.

It is a table, apart from `errors`, whose messages end with these pages. A path is relative to the
project's folder; tests/docs/test_error_pages.py looks for every page and heading. Where a place
alone does not tell the page, the code that raises the error names it (`Problem.page`).
"""

import re
from collections.abc import Iterable

STUDY_FILE = "docs/studies.md#what-a-study-file-may-hold"
HYPERPARAMETERS = "docs/studies.md#hyperparameters"
OWN_DATA = "docs/own_data.md"
DATA_FILES = "docs/formats.md#data"
PREDICTIONS = "docs/formats.md#predictions"
FAULTS = "docs/cluster.md#faults"
STORAGE = "docs/cluster.md#storage-that-outlives-the-cluster"
CLUSTER_FILE = "docs/cluster.md#a-cluster-with-ray-up"
GPU_MEMORY = "docs/gpus.md#memory"
NOT_LEARNING = "docs/not_learning.md"
FAILED_TRIALS = "docs/not_learning.md#other-ways-to-learn-nothing"
RESUME = "docs/first_search.md#if-it-is-stopped"
HUB = "docs/install.md#on-a-machine-without-a-network"
VERIFY = "docs/results.md#what-is-checked"

# What an error is of -> page. It counts before the place.
_SOURCES = {
    "convert": "docs/formats.md#checkpoints-for-convert",
    "verify": VERIFY,
    "pack": "docs/results.md#what-a-pack-holds",
    "compare": "docs/results.md#comparing-two-runs",
    "export": "docs/results.md#export",
    "reuse": "docs/studies.md#trials-of-other-runs",
    "storage": STORAGE,
    "--ensemble": "docs/results.md#ensembles",
    "Task": "docs/own_data.md#from-python",
    "mlflow": "docs/python.md#exporters",
    "wandb": "docs/python.md#exporters",
    "teacher": "docs/stabletune.md#teachers",
}

# A section of a task has the fields of the study.
_TASK_SECTION = re.compile(r"per_task\..+?\.(?=(?:from|model|space|fixed)\b)")
_PLACES = tuple(
    (re.compile(rf"(?:{pattern})(?![\w-])"), page)
    for pattern, page in (
        (r"own\.[^ ]+", "docs/own_data.md#fields"),
        (r"own/\S+", "docs/own_data.md#files"),
        (r"[a-z]+\d*/\S+", DATA_FILES),
        (r"--set", "docs/studies.md#changes-on-the-command-line"),
        (r"from", "docs/studies.md#chained-tasks"),
        (r"model|--model", "docs/studies.md#models"),
        (r"recipe", "docs/studies.md#recipes"),
        (r"(?:(?:space|fixed)\.)?lora_\w+", "docs/studies.md#adapters"),
        (r"fixed\.teacher|teacher", "docs/stabletune.md#teachers"),
        (r"space", "docs/studies.md#dimensions"),
        (r"fixed|max_length|windows", HYPERPARAMETERS),
        (r"train", "docs/studies.md#languages"),
        (r"search\.sampler", "docs/studies.md#samplers"),
        (r"search\.minimize", "docs/studies.md#two-objectives"),
        (r"search\.(?:hours|device_hours)", "docs/studies.md#budgets"),
        (r"search\.stop_early", "docs/studies.md#early-stopping"),
        (r"search\.hold_out", "docs/results.md#held-out-examples"),
        (r"search\.keep_predictions", "docs/results.md#kept-dev-predictions"),
        (r"search\.keep_weights", "docs/results.md#ensembles"),
        (r"search\.(?:hang_after|max_failures)", FAULTS),
        (r"search", "docs/studies.md#search"),
        (r"confirm", "docs/studies.md#confirm"),
        (r"published", "docs/studies.md#published"),
        (r"trials", "docs/studies.md#a-longer-search"),
        (r"tasks|own|name|leave_out|per_task|deviations", "docs/studies.md#fields"),
        (r"forecast|--forecast|--price", "docs/studies.md#what-a-study-will-take"),
        (r"lanes|workers|cpu|gpu|--lanes", "docs/cluster.md#lanes"),
        (r"address|--wait-for-nodes", "docs/cluster.md#lanes-and-nodes"),
        (r"--cluster", CLUSTER_FILE),
        (r"storage", STORAGE),
        (r"cache|RAYSEARCH_CACHE", "docs/install.md#what-it-takes"),
        (r"reuse", "docs/studies.md#trials-of-other-runs"),
        (r"--ensemble", "docs/results.md#ensembles"),
        (r"--predictions|predictions|--null-odds", PREDICTIONS),
        (r"--data", DATA_FILES),
        (r"callbacks", "docs/python.md#callbacks"),
        (r"run folder|version|journal\.jsonl|provenance\.json", RESUME),
        (r"run or pack", VERIFY),
    )
)


def page_of(source: str, location: str) -> str:
    """Return the page that explains a problem, as PAGE#HEADING; "" if no page does.

    Args:
        source: of the error.
        location: of the problem.
    """
    if source in _SOURCES:
        return _SOURCES[source]
    location = _TASK_SECTION.sub("", location, count=1)
    return next((page for pattern, page in _PLACES if pattern.match(location)), "")


def explained_in(pages: Iterable[str]) -> str:
    """Return "explained in PAGE#HEADING, PAGE": each page once; "" without pages.

    Of a page with several headings only the page is named.

    Args:
        pages: as `page_of` returns them, in order; empty ones are left out.
    """
    headings: dict[str, dict[str, None]] = {}
    for page in filter(None, pages):
        name, _, heading = page.partition("#")
        headings.setdefault(name, {})[heading] = None
    names = [
        f"{name}#{heading}" if (heading := "".join(several)) and len(several) == 1 else name
        for name, several in headings.items()
    ]
    return f"explained in {', '.join(names)}" if names else ""
