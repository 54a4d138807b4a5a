"""Small files of a user's own, in every format that an own task may have."""

import csv
import json

import pyarrow as pa
from pyarrow import parquet

NAMES = ("csv", "tsv", "jsonl", "parquet", "folder")


def write_rows(path, rows, classes=None):
    """Write rows, mappings of columns to values, as the ending of the path says.

    Args:
        path: of the file; without an ending it is a folder as `Dataset.save_to_disk` writes it.
        rows: at least one.
        classes: column -> the names of its classes, whose numbers the rows have.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.removeprefix(".") or "folder"
    _WRITERS[kind](path, rows, classes or {})
    return path


def _write_csv(path, rows, classes):
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)


def _write_tsv(path, rows, classes):
    lines = ["\t".join(rows[0]), *("\t".join(map(_cell, row.values())) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf8")


def _cell(value):
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _write_jsonl(path, rows, classes):
    lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    path.write_text("".join(lines), encoding="utf8")


def _write_parquet(path, rows, classes):
    table = pa.Table.from_pylist(rows)
    info = json.dumps({"info": {"features": _features(table, classes)}})
    parquet.write_table(table.replace_schema_metadata({"huggingface": info}), path)


def _write_folder(path, rows, classes):
    path.mkdir()
    table = pa.Table.from_pylist(rows)
    half = len(rows) // 2 or 1
    names = []
    for number, part in enumerate((table[:half], table[half:])):
        names.append(f"data-{number:05}-of-00002.arrow")
        with pa.ipc.new_stream(str(path / names[-1]), table.schema) as writer:
            writer.write_table(part)
    state = {"_data_files": [{"filename": name} for name in names], "_split": "train"}
    (path / "state.json").write_text(json.dumps(state))
    info = {"features": _features(table, classes)}
    (path / "dataset_info.json").write_text(json.dumps(info))


def _features(table, classes):
    """Return the description of the columns, as the library `datasets` writes it."""
    features = {}
    for field in table.schema:
        plain = {"dtype": str(field.type), "_type": "Value"}
        named = {"names": classes.get(field.name), "_type": "ClassLabel"}
        feature = named if field.name in classes else plain
        if pa.types.is_list(field.type):
            feature = {"feature": feature, "_type": "List"}
        features[field.name] = feature
    return features


_WRITERS = {
    "csv": _write_csv,
    "tsv": _write_tsv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "folder": _write_folder,
}
