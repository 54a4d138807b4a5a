"""With one confirmed seed nothing is claimed over seeds: what is shown is of the dev examples."""

import pytest
from support.written_runs import write_data, write_run
from typer.testing import CliRunner

from raysearch import open_run
from raysearch.cli.commands import app

PUBLISHED = [
    {"row": "A", "source": "a paper", "results": {"glue/rte": {"scores": {"accuracy": 74.0}}}}
]
ALONE = (
    "RTE: 95 %, and verdicts by it, are of a single seed and the dev examples alone: other seeds"
    " may lie outside."
)


def raysearch(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a run of this name with these confirmed scores, a seed each."""
    monkeypatch.setattr("os.fsync", lambda file: None)
    data = write_data(tmp_path / "data")

    def write(name, scores, **changes):
        confirm = {"top": 1, "seeds": [11 + n for n in range(len(scores))]}
        options = {"confirm": confirm, "published": PUBLISHED, "confirmed": scores, **changes}
        return write_run(tmp_path / name, data, **options)

    return write


def test_the_table_says_what_the_interval_of_one_seed_covers(write):
    one, two = (open_run(write(f"{len(s)}", s)).table() for s in ((0.75,), (0.75, 0.8)))
    assert ALONE in one.notes
    assert one.notes[0].startswith("Result: dev, one seed, best evaluation")
    assert one.row("95 %").cells[0].value
    assert "single seed and the" not in "".join(two.notes)
    assert two.notes[0].startswith("Result: dev, median over seeds, best evaluation")


def test_the_charts_the_statement_and_the_card_say_it_too(write):
    folder = write("one", (0.75,))
    words = open_run(folder).figures()["seeds"].summary
    assert words.endswith("of one seed, over dev examples alone.")
    statement = (folder / "reproducibility.md").read_text()
    assert "the interval of a single seed: over dev examples alone" in statement
    assert "over seeds and dev examples together" not in statement
    both = (write("two", (0.75, 0.8)) / "reproducibility.md").read_text()
    assert "over seeds and dev examples together" in both
    assert "the interval of a single seed" not in both


def test_a_comparison_of_single_seeds_says_it_too(write):
    first, second = write("first", (0.75,)), write("second", (0.8,), draw=4)
    text = raysearch("compare", first, second)
    assert "B - A: dev, of one seed, percent. 95 %: over examples alone" in text
    assert "median over seeds" not in text
    assert "of a single seed the interval covers the examples alone" in text


@pytest.mark.parametrize("seeds", ["[]", "[11]"])
def test_a_plan_with_one_seed_does_not_say_what_it_sees(seeds, tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(
        "tasks: [glue/rte]\nmodel: scratch\nspace: {LR: {log: [1e-5, 1e-3]}}\n"
        f"search: {{trials: 4}}\nconfirm: {{top: 1, seeds: {seeds}}}\n"
    )
    text = raysearch("check", path)
    assert "glue/rte: a single seed is printed, whose 95 % is of the dev examples alone" in text
    assert "80 % power" not in text
    assert "glue/rte 277 85.0 accuracy +-4.2 1 - -" in text
