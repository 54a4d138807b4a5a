"""Which page of the documentation explains a problem.

It is a table, apart from `errors`, whose messages end with these pages. A path is that of the
README's links, as the documentation has no address of its own; tests/docs/test_error_pages.py looks
for every page and heading. Where a place alone does not tell the page, the code that raises the
error names it (`Problem.page`); where nothing does, it is that of the command.
"""

import re
from collections.abc import Iterable

STUDY_FILE = "docs/studies.md#what-a-study-file-may-hold"
ADAPTERS = "docs/studies.md#adapters"
DATA_FILES = "docs/formats.md#data"
CLUSTER_FILE = "docs/cluster.md#a-cluster-with-ray-up"
DAMAGED_RUN = "docs/first_search.md#if-it-is-stopped"
FAULTS = "docs/cluster.md#faults"
STORAGE = "docs/cluster.md#storage-that-outlives-the-cluster"
FAILED_TRIALS = "docs/not_learning.md#other-ways-to-learn-nothing"
HUB = "docs/install.md#on-a-machine-without-a-network"
_OWN_FILES = "docs/own_data.md#files"
_HYPERPARAMETERS = "docs/studies.md#hyperparameters"
_PREDICTIONS = "docs/formats.md#predictions"
_REUSE = "docs/studies.md#trials-of-other-runs"
_ENSEMBLES = "docs/results.md#ensembles"
_TEACHERS = "docs/stabletune.md#teachers"
_VERIFY = "docs/results.md#what-is-checked"

# A command -> the page of its errors that neither name one nor have one by their place.
_COMMANDS = {
    "": "docs/index.md",
    "doctor": "docs/install.md#what-it-takes",
    "init": "docs/first_search.md#a-study-of-your-own",
    "list": "docs/studies.md",
    "check": "docs/studies.md",
    "run": "docs/first_search.md",
    "resume": DAMAGED_RUN,
    "verify": _VERIFY,
    "table": "docs/reading.md",
    "compare": "docs/results.md#comparing-two-runs",
    "report": "docs/results.md#report",
    "export": "docs/results.md#export",
    "pack": "docs/results.md#what-a-pack-holds",
    "predict": "docs/results.md#dev-predictions-in-the-benchmarks-format",
    "evaluate": "docs/results.md#scoring-any-fine-tuned-model",
    "convert": "docs/formats.md#checkpoints-for-convert",
    "score": _PREDICTIONS,
}

# What an error is of -> its page, whatever the place.
_SOURCES = {
    **{name: _COMMANDS[name] for name in ("convert", "verify", "pack", "compare", "export")},
    "reuse": _REUSE,
    "storage": STORAGE,
    "--ensemble": _ENSEMBLES,
    "Task": "docs/own_data.md#from-python",
    "mlflow": "docs/python.md#exporters",
    "wandb": "docs/python.md#exporters",
    "teacher": _TEACHERS,
}

# A section of a task has the fields of the study.
_TASK_SECTION = re.compile(r"per_task\..+?\.(?=(?:from|model|space|fixed)\b)")
_PLACES = tuple(
    (re.compile(rf"(?:{pattern})(?![\w-])"), page)
    for pattern, page in (
        (r"own\.[^ ]+", "docs/own_data.md#fields"),
        (r"own/\S+", _OWN_FILES),
        (r"[a-z]+\d*/\S+", DATA_FILES),
        (r"--set", "docs/studies.md#changes-on-the-command-line"),
        (r"from", "docs/studies.md#chained-tasks"),
        (r"model|--model", "docs/studies.md#models"),
        (r"recipe", "docs/studies.md#recipes"),
        (r"(?:(?:space|fixed)\.)?lora_\w+", ADAPTERS),
        (r"fixed\.teacher|teacher", _TEACHERS),
        (r"space", "docs/studies.md#dimensions"),
        (r"fixed|max_length|windows", _HYPERPARAMETERS),
        (r"train", "docs/studies.md#languages"),
        (r"search\.sampler", "docs/studies.md#samplers"),
        (r"search\.minimize", "docs/studies.md#two-objectives"),
        (r"search\.(?:hours|device_hours)", "docs/studies.md#budgets"),
        (r"search\.stop_early", "docs/studies.md#early-stopping"),
        (r"search\.hold_out", "docs/results.md#held-out-examples"),
        (r"search\.keep_predictions", "docs/results.md#kept-dev-predictions"),
        (r"search\.keep_weights", _ENSEMBLES),
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
        (r"reuse", _REUSE),
        (r"--ensemble", _ENSEMBLES),
        (r"--predictions|predictions|--null-odds", _PREDICTIONS),
        (r"--data", DATA_FILES),
        (r"callbacks", "docs/python.md#callbacks"),
        (r"run folder|version|journal\.jsonl|provenance\.json", DAMAGED_RUN),
        (r"run or pack", _VERIFY),
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


def command_page(command: str) -> str:
    """Return the page of a command's errors that no other page explains.

    Args:
        command: its name; that of `raysearch` itself is "".
    """
    return _COMMANDS.get(command, _COMMANDS[""])


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
