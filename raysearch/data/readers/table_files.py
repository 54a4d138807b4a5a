"""Opens tables of any format: CSV, TSV, JSON lines, parquet, and folders of the library `datasets`.

It is apart from the reader because it knows columns and rows, and not what they mean.
"""

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Problem, shorten, unknown_name
from ...storage import open_input
from .json_stream import kind, parse_integer
from .row_errors import RowErrors
from .text_lines import EMPTY, LONGEST, iter_lines, unreadable

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]  # column -> value
Rows = Iterator[tuple[str, Row]]  # the place of each row, such as "line 3", and its values

# Files of `Dataset.save_to_disk` and `DatasetDict.save_to_disk`.
STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
OPEN_QUOTE = "a quote begins here that does not end"
_LARGEST_JSON = 1 << 26  # bytes of such a file; names of classes and columns are small
_OTHERS = {
    ".xlsx": "a spreadsheet: save it as CSV in UTF-8",
    ".xls": "a spreadsheet: save it as CSV in UTF-8",
    ".arrow": "one file of a folder of `datasets`: name the folder",
    ".txt": "no table: CSV, TSV, JSON lines or parquet would do",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """An open table.

    Attributes:
        columns: the names of all its columns.
        rows: the rows, with the columns that were asked for.
        classes: column -> the names of its classes, whose numbers the rows have.
    """

    columns: tuple[str, ...]
    rows: Rows
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def open_table(path: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    """Return a table; None, with noted errors, if its columns cannot be read or lack some.

    Args:
        path: the file, or a folder of `datasets`.
        wanted: the columns of the rows.
        errors: collects what is wrong, also while rows are taken.

    Raises:
        InputError: the file cannot be read at all.
    """
    suffix = path.suffix.lower()
    openers: dict[str, Callable[[Path, Collection[str], RowErrors], Table | None]] = {
        ".csv": _open_csv,
        ".tsv": _open_tsv,
        ".jsonl": _open_json_lines,
        ".json": _open_json_lines,
        ".parquet": _open_parquet,
    }
    if not path.is_dir() and suffix not in openers:
        known = ", ".join(openers)
        text = _OTHERS.get(suffix, f"'{suffix}' is no known ending of a table; {known} are")
        errors.refuse("file", f"is {text}" if suffix in _OTHERS else text)
        return None
    try:
        return (_open_folder if path.is_dir() else openers[suffix])(path, wanted, errors)
    except OSError as error:
        raise unreadable(path, error) from None


def _has_columns(
    columns: tuple[str, ...], wanted: Collection[str], place: str, errors: RowErrors
) -> bool:
    """Return whether all wanted columns are there, once; note what is wrong."""
    absent = [name for name in wanted if name not in columns]
    if len(columns) == 1 and len(absent) > 1:
        text = f"one column, '{shorten(columns[0])}', where {', '.join(wanted)} should be"
        errors.refuse(place, f"{text}; commas separate columns in .csv, tabs in .tsv")
        absent = []
    for name in absent:
        errors.refuse(place, unknown_name("column", name, (column[:40] for column in columns)))
    for name in wanted:
        if columns.count(name) > 1:
            errors.refuse(place, f"column '{name}' occurs more than once in the header")
    return not errors.refused


def _open_csv(path: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    return _open_lines(_csv_rows(path, errors), wanted, errors)


def _open_tsv(path: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    """Open tab-separated text; quotes are literal, as in the files of benchmarks."""
    rows = ((number, line.split("\t")) for number, line in _lines(path, errors))
    return _open_lines(rows, wanted, errors)


def _open_lines(
    rows: Iterator[tuple[int, list[str]]], wanted: Collection[str], errors: RowErrors
) -> Table | None:
    """Return the table of rows of fields, the first of which names the columns."""
    number, header = next(rows, (0, []))
    if not header:
        if not errors.count:
            errors.refuse("file", EMPTY)
        errors.refused = True
        return None
    if number > 1:
        errors.refused = True  # the header is one of the lines that cannot be read
        return None
    columns = tuple(header)
    if not _has_columns(columns, wanted, "line 1", errors):
        return None
    indices = {name: columns.index(name) for name in wanted}

    def values() -> Rows:
        width = len(columns)
        for line, fields in rows:
            if len(fields) == width:
                yield f"line {line}", {name: fields[index] for name, index in indices.items()}
            else:
                errors.add(f"line {line}", _width_text(len(fields), width))

    return Table(columns=columns, rows=values())


def _width_text(count: int, width: int) -> str:
    if not count:
        return "is blank"
    return f"{count} column{'' if count == 1 else 's'} where there should be {width}"


def _lines(path: Path, errors: RowErrors) -> Iterator[tuple[int, str]]:
    for first, block in iter_lines(path, errors):
        for number, line in enumerate(block, first):
            if line is not None:
                yield number, line


def _csv_rows(path: Path, errors: RowErrors) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of every row, with the number of its first line, from 1.

    A field in quotes may hold commas, line breaks and, doubled, quotes.
    """
    unread: set[int] = set()  # lines that are not text, which are noted already

    def lines() -> Iterator[str]:
        for first, block in iter_lines(path, errors):
            for number, line in enumerate(block, first):
                if line is None:
                    unread.add(number)
                yield f"{line or ''}\n"

    csv.field_size_limit(LONGEST)
    reader = csv.reader(lines(), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            errors.add(f"line {first}", _csv_text(error, reader.line_num - first))
            continue
        if fields is None:
            return
        if fields or first not in unread:
            yield first, fields


def _csv_text(error: csv.Error, more_lines: int) -> str:
    if "end of data" in str(error):
        return f"{OPEN_QUOTE}, up to {more_lines:,} lines below"
    if "expected after" in str(error):
        return 'text after a closing quote; a quote inside a quoted field is written twice: ""'
    if "new-line character" in str(error):
        return "holds a carriage return alone; lines end with a line feed, or with both"
    return f"is no row of CSV: {error}"


def _open_json_lines(path: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    """Open JSON lines: an object in each line, whose first one names the columns."""
    rows = _json_rows(path, errors)
    first = next(rows, None)
    if first is None:
        if not errors.count:
            errors.refuse("file", EMPTY)
        errors.refused = True
        return None
    columns = tuple(first[1])
    if not _has_columns(columns, wanted, first[0], errors):
        return None

    def values() -> Rows:
        place, row = first
        while True:
            if absent := [name for name in wanted if name not in row]:
                errors.add(place, unknown_name("column", absent[0], (n[:40] for n in row)))
            else:
                yield place, {name: row[name] for name in wanted}
            following = next(rows, None)
            if following is None:
                return
            place, row = following

    return Table(columns=columns, rows=values())


def _json_rows(path: Path, errors: RowErrors) -> Rows:
    """Yield the objects of JSON lines."""
    for number, line in _lines(path, errors):
        place = f"line {number}"
        if not line.strip():
            errors.add(place, "is blank")
            continue
        try:
            value = json.loads(line, parse_int=parse_integer)
        except json.JSONDecodeError as error:
            text = f"broken JSON at character {error.colno}: {error.msg}"
            if number == 1 and line.strip() in ("[", "{"):
                text = "one JSON object in each line is needed, and no line break inside of it"
                errors.refuse(place, text)
                return
            errors.add(place, text)
            continue
        except ValueError as error:
            errors.add(place, f"holds {error}")
            continue
        except RecursionError:
            errors.add(place, "is nested too deeply for a row")
            continue
        if isinstance(value, dict):
            yield place, value
        elif number == 1 and isinstance(value, list):
            errors.refuse(place, "a list; one JSON object in each line is needed")
            return
        else:
            errors.add(place, f"{kind(value)} where an object should be")


def _open_parquet(path: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    import pyarrow as pa
    from pyarrow import parquet

    with open_input(path):  # refuses pipes and devices without waiting for them
        pass
    try:
        file = parquet.ParquetFile(path)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        errors.refuse("file", f"is no parquet file: {str(error).splitlines()[0]}")
        return None
    columns, info = tuple(schema.names), (schema.metadata or {}).get(b"huggingface", b"{}")
    if not _has_columns(columns, wanted, "file", errors):
        return None
    features = _loads(info).get("info", {})
    batches = file.iter_batches(columns=list(wanted), batch_size=1000)
    return Table(
        columns=columns,
        rows=_arrow_rows(batches, wanted, errors),
        classes=_classes(features.get("features") if isinstance(features, dict) else None),
    )


def _open_folder(folder: Path, wanted: Collection[str], errors: RowErrors) -> Table | None:
    """Open a folder that `Dataset.save_to_disk` has written."""
    if (folder / SPLITS).is_file():
        names = _read_json(folder / SPLITS).get("splits")
        names = names if isinstance(names, list) else []
        shown = ", ".join(f"{folder.name}/{name}" for name in names if isinstance(name, str))
        errors.refuse("folder", f"holds several splits: name one of them, {shown}")
        return None
    if not (folder / STATE).is_file():
        text = f"is a folder without {STATE}; the file of a table, or a folder that the library"
        errors.refuse("folder", f"{text} `datasets` has saved with save_to_disk, would do")
        return None
    listed = _read_json(folder / STATE).get("_data_files")
    names = [x.get("filename") for x in listed if isinstance(x, dict)] if listed else []
    files = [name for name in names if isinstance(name, str) and Path(name).name == name]
    missing = [name for name in files if not (folder / name).is_file()]
    if not files or missing or len(files) < len(names):
        text = f"{STATE} names no file of the folder, {', '.join(missing) or 'no usable name'}"
        errors.refuse("folder", f"{text}: it may not have been copied whole")
        return None
    schema = _schema(folder / files[0], errors)
    if schema is None or not _has_columns(tuple(schema.names), wanted, "folder", errors):
        return None
    info = _read_json(folder / INFO) if (folder / INFO).is_file() else {}
    batches = (batch for name in files for batch in _stream(folder / name))
    return Table(
        columns=tuple(schema.names),
        rows=_arrow_rows(batches, wanted, errors),
        classes=_classes(info.get("features")),
    )


def _schema(path: Path, errors: RowErrors) -> "pa.Schema | None":
    import pyarrow as pa

    try:
        with open_input(path) as stream:
            return pa.ipc.open_stream(stream).schema
    except pa.ArrowException as error:
        errors.refuse("folder", f"{path.name} cannot be read: {str(error).splitlines()[0]}")
        return None


def _stream(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    with open_input(path) as stream:
        yield from pa.ipc.open_stream(stream)


def _arrow_rows(
    batches: Iterator["pa.RecordBatch"], wanted: Collection[str], errors: RowErrors
) -> Rows:
    """Yield the rows of batches, numbered from 1."""
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            for row in batch.select(list(wanted)).to_pylist():
                number += 1
                yield f"row {number}", row
    except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
        text = f"cannot be read after this row: {str(error).splitlines()[0]}"
        errors.refuse(f"row {number}", text)
    if not number:
        errors.refuse("file", "has no rows")


def _classes(features: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of classes in the description of a data set: column -> names."""
    classes = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        while isinstance(feature, dict | list) and "names" not in feature:
            feature = feature.get("feature") if isinstance(feature, dict) else (*feature, None)[0]
        names = feature.get("names") if isinstance(feature, dict) else None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            classes[column] = tuple(names)
    return classes


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object in a small file of a data set.

    Raises:
        InputError: it is no JSON object.
    """
    with open_input(path) as stream:
        value = _loads(stream.read(_LARGEST_JSON + 1))
    if not value:
        text = "is no JSON object; the folder may not have been copied whole"
        raise InputError(str(path), [Problem(location="file", text=text)])
    return value


def _loads(content: bytes) -> dict[str, Any]:
    """Return a JSON object; empty for anything else."""
    try:
        value = json.loads(content[:_LARGEST_JSON].decode())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
