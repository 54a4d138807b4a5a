"""The commands that show the results of runs.

They only parse and print. Other packages do the work and are imported when a command needs them, so
that these commands start without Ray and torch.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, Problem, unknown_name
from .app import app, print_line, print_note
from .exit_codes import guarded
from .options import examples


@app.command(
    epilog=examples(
        "raysearch table runs/quickstart --format tex",
        "raysearch table roberta-race --published",
    )
)
@guarded
def table(
    folder: Annotated[Path, typer.Argument(help="A run folder; a study with --published.")],
    format: Annotated[
        str, typer.Option(help="The format of the printed table: md, tex, csv or json.")
    ] = "md",
    published: Annotated[
        bool,
        typer.Option(help="Print the rows that the papers of a study published; run nothing."),
    ] = False,
) -> None:
    """Print the table of a run, and write all its exports again."""
    from .. import results, study
    from ..results import export, published_table

    layouts = export.LAYOUTS
    if format not in layouts:
        text = unknown_name("format", format, layouts)
        raise InputError("table", [Problem(location="--format", text=text)])
    if published:
        path = published_table.study_file(folder)
        printed = results.paper_table(study.load(path))
        if not printed.rows:
            text = "nothing is published for its tasks; a study with such rows would do"
            raise InputError(str(path), [Problem(location="published", text=text)])
    elif (folder / "study.yaml").is_file():
        printed = results.write_exports(folder, note=print_note)
    else:
        text = "no study.yaml here; a run folder would do, or a study with --published"
        if study.find_study(folder).is_file():
            text = "is a study: add --published for what papers printed"
        raise InputError(str(folder), [Problem(location="run folder", text=text)])
    print(layouts[format](printed), end="")


@app.command(epilog=examples("raysearch pack runs/minilm-glue --to minilm-glue.zip"))
@guarded
def pack(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    to: Annotated[Path, typer.Option(help="The zip file to write.")],
    weights: Annotated[
        bool, typer.Option("--weights", help="Pack the winners' weights too.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option(
            help="The URL of the licence under which you publish the pack. Default: the pack says"
            " that none was chosen."
        ),
    ] = None,
) -> None:
    """Pack a run into one zip file, without data, that `raysearch verify` can check elsewhere.

    It holds the study, the provenance, every trial, the results, the dev predictions, and a
    description of them as an RO-Crate.
    """
    import hashlib

    from ..results.pack import pack as pack_run

    packed = pack_run(folder, to, weights=weights, licence=licence)
    for note in packed.notes:
        print_note(note)
    with to.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    print_line(f"{to}: {len(packed.files)} files, {to.stat().st_size:,} bytes, SHA-256 {digest}")
