"""Search the hyperparameters of a small generated task, and print the table.

    python examples/search.py

It needs no data, no GPU and no network, and takes about a minute on two cores. For a real study,
replace the mapping by a file or the name of a shipped study, and give `data` and a model:

    study = raysearch.load("minilm-glue", tasks=["glue/rte"], model="FOLDER")
    run = raysearch.run(study, data="DATA")
"""

import raysearch

STUDY = {
    "tasks": ["toy/grammar"],
    "model": "scratch:2x64",
    "space": {"BSZ": {"choice": [32, 64]}, "LR": {"log": [5e-4, 2e-3]}},
    "fixed": {"EPOCH": 4, "max_length": 32},
    "search": {"trials": 4},
    "confirm": {"top": 1, "seeds": [11, 12, 13]},
}


def main() -> None:
    """Run the study in runs/example, and print its winner and its table."""
    study = raysearch.parse(STUDY)
    try:
        run = raysearch.run(study, storage="runs", name="example")
    except raysearch.InputError as error:  # every problem at once, each with its place
        raise SystemExit(str(error)) from None
    best = run.best("toy/grammar")
    if best is None:
        raise SystemExit("no trial has finished")
    print(f"best: {best.configuration}, accuracy {100 * best.score:.1f} on dev")
    print((run.folder / "table.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
