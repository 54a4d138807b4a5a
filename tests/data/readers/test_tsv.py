"""Reading the published files, whole, and refusing damaged ones with file, line and what to do."""

import shutil

import pytest
from support.paths import SHARED

from raysearch.data import readers
from raysearch.data.readers.decimal_numbers import decimal
from raysearch.errors import InputError
from raysearch.tasks import get

GLUE = SHARED / "data" / "glue"
HEADER = "index\tsentence1\tsentence2\tlabel"
QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
GOOD = "0\tIt rains.\tIt is wet.\tentailment"

# Rows of train, dev and test where the files at hand are complete.
COMPLETE = {
    "glue/rte": (2490, 277, 3000),
    "glue/cola": (8551, 1043, 1063),
    "glue/sst2": (67349, 872, 1821),
    "glue/mrpc": (3668, 408, 1725),
}
SAMPLES = ("glue/mnli", "glue/qqp", "glue/qnli", "glue/stsb")


def published(name):
    """The root of the published files, or a skip where this task's are not there."""
    if not (GLUE / get(name).folder).is_dir():
        pytest.skip(f"needs the published files of {name} in shared/data/glue")
    return GLUE


def read(name, split, root):
    task = get(name)
    return list(readers.read(task, task.splits()[split], root))


@pytest.fixture
def rte(tmp_path):
    """A function that writes RTE/train.tsv from lines or bytes and gives its root."""

    def write(*lines, content=None, file="train.tsv"):
        folder = tmp_path / "RTE"
        folder.mkdir(exist_ok=True)
        text = "".join(f"{line}\n" for line in lines).encode()
        (folder / file).write_bytes(text if content is None else content)
        return tmp_path

    return write


def problems(root, name="glue/rte", split="train"):
    with pytest.raises(InputError) as caught:
        read(name, split, root)
    return caught.value


# The published files


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPLETE)
def test_published_files_are_read_whole(name):
    root = published(name)
    counts = tuple(len(read(name, split, root)) for split in ("train", "dev", "test"))
    assert counts == COMPLETE[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*COMPLETE, *SAMPLES])
def test_examples_hold_the_inputs_an_id_and_a_label_of_the_task(name):
    task, root = get(name), published(name)
    assert readers.locate(task, root) == []
    for split in readers.present_splits(task, root):
        examples = read(name, split, root)
        assert all(set(example) == {"id", "label", *task.inputs} for example in examples)
        assert all(isinstance(example[key], str) for example in examples for key in task.inputs)
        labels = {example["label"] for example in examples}
        if not task.splits()[split].labelled:
            assert labels == {None}
        elif task.head == "regress":
            assert all(task.bounds[0] <= label <= task.bounds[1] for label in labels)
        else:
            assert labels == set(range(len(task.labels)))


def test_quotes_are_literal():
    first = read("glue/mrpc", "train", published("glue/mrpc"))[0]
    assert first["sentence1"].startswith('Amrozi accused his brother , whom he called " the')


def test_mrpc_is_the_same_in_both_published_forms(tmp_path):
    root = published("glue/mrpc")
    (tmp_path / "MRPC").mkdir()
    for file in ("msr_paraphrase_train.txt", "msr_paraphrase_test.txt", "dev_ids.tsv"):
        shutil.copy(root / "MRPC" / file, tmp_path / "MRPC")
    for split in ("train", "dev", "test"):
        assert read("glue/mrpc", split, tmp_path) == read("glue/mrpc", split, root)


def test_test_ids_are_the_numbers_that_the_benchmark_wants():
    examples = read("glue/cola", "test", published("glue/cola"))
    assert [example["id"] for example in examples] == [str(row) for row in range(1063)]


# What files may look like


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_at_the_end_are_allowed(rte):
    plain = read("glue/rte", "train", rte(HEADER, GOOD, GOOD))
    text = "\r\n".join(["\ufeff" + HEADER, GOOD, GOOD, "", ""])
    assert read("glue/rte", "train", rte(content=text.encode())) == plain
    assert len(plain) == 2


def test_a_last_line_without_an_end_is_read(rte):
    assert len(read("glue/rte", "train", rte(content=f"{HEADER}\n{GOOD}".encode()))) == 1


def test_other_line_separators_of_unicode_do_not_end_a_row(rte):
    row = "0\tone\u2028two\x0bthree\u0085\tfour\tentailment"
    (example,) = read("glue/rte", "train", rte(HEADER, row))
    assert example["sentence1"] == "one\u2028two\x0bthree\u0085"


def test_columns_are_found_by_name_in_any_order(rte):
    root = rte("label\tsentence2\textra\tsentence1\tindex", "entailment\ttwo\t-\tone\t17")
    (example,) = read("glue/rte", "train", root)
    assert example == {"id": "17", "sentence1": "one", "sentence2": "two", "label": 0}


def test_rows_at_the_border_of_a_block_are_whole(rte, monkeypatch):
    rows = [f"{n}\tsentence {n}\tä {'x' * (n % 7)}\tentailment" for n in range(200)]
    text = "\r\n".join([HEADER, *rows, "", ""]).encode()
    whole = read("glue/rte", "train", rte(content=text))
    assert [example["id"] for example in whole] == [str(n) for n in range(200)]
    for size in (64, 65, 71, 127):
        monkeypatch.setattr("raysearch.data.readers.text_lines._BLOCK", size)
        assert read("glue/rte", "train", rte(content=text)) == whole


def test_gold_labels_of_a_test_file_are_not_read(rte):
    root = rte(HEADER, GOOD, "1\ta\tb\tnonsense", file="test.tsv")
    assert [example["label"] for example in read("glue/rte", "test", root)] == [None, None]


def test_a_split_is_streamed(rte):
    root = rte(HEADER, GOOD, "bad")
    task = get("glue/rte")
    examples = readers.read(task, task.train, root)
    assert next(examples)["id"] == "0"
    with pytest.raises(InputError):
        next(examples)


def qqp(folder, torn, whole=2):
    (folder / "QQP").mkdir()
    first, *others = (f"{at}\t2\t3\tWhy?\tHow?\t0" for at in range(1, whole + 1))
    rows = [QQP_HEADER, first, *['"\tand so on?\t1'] * torn, *others]
    (folder / "QQP" / "train.tsv").write_text("\n".join(rows))
    return folder


def test_the_torn_rows_that_qqp_is_known_for_are_left_out(tmp_path):
    examples = read("glue/qqp", "train", qqp(tmp_path, 20, whole=1980))
    assert [example["id"] for example in examples] == [str(at) for at in range(1, 1981)]


@pytest.mark.parametrize(
    ("torn", "whole"), [(3, 2), (20, 1), (100, 1), (21, 1979), (100, 9899), (101, 20000)]
)
def test_more_torn_rows_than_a_hundredth_are_a_fault(tmp_path, torn, whole):
    error = problems(qqp(tmp_path, torn, whole), name="glue/qqp")
    assert sum(problem.count for problem in error.problems) == torn
    assert error.problems[0].location.startswith("line 3, 4, 5")


@pytest.mark.parametrize(("torn", "whole"), [(2, 1), (20, 1980), (100, 9900)])
def test_torn_rows_up_to_a_hundredth_or_the_pieces_of_one_are_not(tmp_path, torn, whole):
    assert len(read("glue/qqp", "train", qqp(tmp_path, torn, whole))) == whole


def test_to_leave_out_rows_does_not_make_up_for_most_of_a_file(rte):
    """Of a handful a share tells nothing: 10 of 11 may be left out, 11 of 12 may not."""
    task, bad = get("glue/rte"), "1\ta\tb\tmaybe"
    root = rte(HEADER, GOOD, *[bad] * 10)
    assert len(list(readers.read(task, task.train, root, max_bad_rows=10))) == 1
    root = rte(HEADER, *[GOOD] * 11, *[bad] * 11)
    assert len(list(readers.read(task, task.train, root, max_bad_rows=11))) == 11
    root = rte(HEADER, *[GOOD] * 11, *[bad] * 12)
    with pytest.raises(InputError, match=r"12 of 23 examples are unusable"):
        list(readers.read(task, task.train, root, max_bad_rows=1000))


def test_rows_that_were_left_out_are_told(tmp_path, rte):
    task, told = get("glue/qqp"), []
    list(readers.read(task, task.train, qqp(tmp_path, 2), on_skipped=told.append))
    told_first = "2 unusable examples left out, the first: line 3, 4 3 columns"
    assert told[0].summary(1).startswith(told_first)
    task, root = get("glue/rte"), rte(HEADER, GOOD, "1\ta\tb", GOOD, "2\ta\tb\tmaybe")
    examples = list(readers.read(task, task.train, root, max_bad_rows=2, on_skipped=told.append))
    assert [example["label"] for example in examples] == [0, 0]
    assert told[1].skipped() == 2
    with pytest.raises(InputError, match="2 problems"):
        list(readers.read(task, task.train, root, max_bad_rows=1))


def test_a_line_that_cannot_be_decoded_can_be_left_out_and_a_header_cannot(rte):
    task = get("glue/rte")
    lines = [HEADER.encode(), GOOD.encode(), b"1\tcaf\xe9\tb\tentailment", GOOD.encode()]
    root = rte(content=b"\n".join(lines))
    assert len(list(readers.read(task, task.train, root, max_bad_rows=1))) == 2
    root = rte(content=b"\n".join([b"\xe9", *lines]))
    with pytest.raises(InputError, match="byte 0xe9 at position 1 is not UTF-8"):
        list(readers.read(task, task.train, root, max_bad_rows=9))


def test_more_torn_rows_than_that_are_a_fault(tmp_path):
    error = problems(qqp(tmp_path, 101), name="glue/qqp")
    assert error.problems[0].location == "line 3, 4, 5 and 98 more"


def test_a_file_with_nothing_but_torn_rows_is_a_fault(tmp_path):
    (tmp_path / "QQP").mkdir()
    (tmp_path / "QQP" / "train.tsv").write_text(f"{QQP_HEADER}\n1,2,3,Why?,How?,0\n")
    (problem,) = problems(tmp_path, name="glue/qqp").problems
    assert problem.location == "line 2"
    assert problem.text.startswith("1 column where there should be 6")


# Faults


def test_every_bad_row_is_named_with_its_line_and_what_would_do(rte):
    root = rte(HEADER, GOOD, "1\ta\tb", "2\ta\tb\tc\tentailment", "3\ta\tb\tmaybe", "", GOOD)
    error = problems(root)
    assert error.source.endswith("train.tsv")
    assert [(problem.location, problem.text) for problem in error.problems] == [
        ("line 3", "3 columns where there should be 4; a line break in a field, or a tab lost?"),
        ("line 4", "5 columns where there should be 4; a tab within a field?"),
        ("line 5", "label 'maybe'; the labels are: entailment, not_entailment"),
        ("line 6", "1 column where there should be 4; a line break in a field, or a tab lost?"),
    ]


def test_many_problems_are_cut_short_and_counted(rte):
    rows = ["\t".join("x" * columns) for columns in range(5, 55)]
    error = problems(rte(HEADER, *rows, *rows[:2]))
    assert len(error.problems) == 21
    assert [error.problems[0].location, error.problems[1].location] == ["line 2, 52", "line 3, 53"]
    assert error.problems[-1].text == "and 30 more"
    assert str(error).splitlines()[0].endswith("train.tsv: 52 problems")


@pytest.mark.parametrize(
    "label",
    ["5.1", "-0.1", "nan", "inf", "high", "", "0_4", "4_0", " 4", "4 ", "4\u00a0", "\u0664",
     "\uff14", "0x1", "4,5", "1e400", "9" * 5000, ".", "+", "1e", "--1", "infinity"],
)  # fmt: skip
def test_a_regression_label_must_be_a_number_within_bounds(tmp_path, label):
    (tmp_path / "STS-B").mkdir()
    text = f"index\tsentence1\tsentence2\tscore\n0\ta\tb\t2.5\n1\ta\tb\t{label}\n"
    (tmp_path / "STS-B" / "train.tsv").write_text(text)
    (problem,) = problems(tmp_path, name="glue/stsb").problems
    assert problem.location == "line 3"
    assert problem.text == f"label '{label[:40]}' is not a number from 0 to 5"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("5", 5),
        ("5.000", 5),
        ("+.5", 0.5),
        ("3.", 3),
        ("4.5e-1", 0.45),
        ("0.25E1", 2.5),
        ("007", 7),
    ],
)
def test_a_number_may_be_spelled_as_decimals_are(label, value):
    assert decimal(label) == value


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize("more", ["\textra", "\t"])
def test_a_file_without_a_header_has_the_columns_that_were_published(tmp_path, split, more):
    (tmp_path / "CoLA").mkdir()
    path = tmp_path / "CoLA" / f"{split}.tsv"
    rows = [f"gj04\t{at % 2}\t\tShe sleeps." for at in range(3)]
    path.write_text("\n".join(rows))
    assert len(read("glue/cola", split, tmp_path)) == 3
    path.write_text("\n".join(row + more for row in rows))
    found = problems(tmp_path, name="glue/cola", split=split).problems
    text = "5 columns where there should be 4; a tab within a field?"
    assert [(p.location, p.text) for p in found] == [("line 1, 2, 3", text)]
    path.write_text("\n".join([rows[0] + more, *rows[1:]]))
    assert [p.location for p in problems(tmp_path, name="glue/cola", split=split).problems] == [
        "line 1"
    ]
    path.write_text("\n".join("\t".join(row.split("\t")[:3]) for row in rows))
    (problem,) = problems(tmp_path, name="glue/cola", split=split).problems
    assert problem.location == "line 1, 2, 3"


def test_pairs_of_xtreme_have_their_columns_and_a_test_set_may_lack_the_label(tmp_path):
    folder = tmp_path / "xtreme" / "xnli"
    folder.mkdir(parents=True)
    for name in ("dev-en.tsv", "test-en.tsv"):
        (folder / name).write_text("A.\tB.\tneutral\nC.\tD.\tentailment\n")
    assert [e["label"] for e in read("xtreme/xnli", "en", tmp_path)] == [2, 1]
    assert [e["label"] for e in read("xtreme/xnli", "test-en", tmp_path)] == [None, None]
    (folder / "test-en.tsv").write_text("A.\tB.\nC.\tD.\n")
    assert len(read("xtreme/xnli", "test-en", tmp_path)) == 2
    for text in ("A.\tB.\tneutral\tx\n" * 2, "x\tA.\tB.\tneutral\n" * 2):
        for name, split in (("dev-en.tsv", "en"), ("test-en.tsv", "test-en")):
            (folder / name).write_text(text)
            found = problems(tmp_path, name="xtreme/xnli", split=split).problems
            assert [(p.location, p.text[:35]) for p in found] == [
                ("line 1, 2", "4 columns where there should be 3; ")
            ]


def test_a_column_that_is_blank_throughout_is_refused(tmp_path, rte):
    """As where columns were swapped: CoLA's third is empty for every good sentence."""
    (tmp_path / "CoLA").mkdir()
    path = tmp_path / "CoLA" / "train.tsv"
    path.write_text("gj04\t1\tShe sleeps.\t\ngj04\t0\tSleeps she.\t \n")
    (problem,) = problems(tmp_path, name="glue/cola").problems
    text = "every sentence is blank; are the columns in another order?"
    assert (problem.location, problem.text) == ("file", text)
    path.write_text("gj04\t1\t\tShe sleeps.\ngj04\t0\t*\t\n")
    assert [e["sentence"] for e in read("glue/cola", "train", tmp_path)] == ["She sleeps.", ""]


def test_a_column_that_stands_twice_in_the_header_is_refused(rte):
    found = problems(rte(f"{HEADER}\tlabel\tsentence1", f"{GOOD}\tnot_entailment\tx")).problems
    assert {(p.location, p.text) for p in found} == {
        ("line 1", "column 'sentence1' occurs more than once in the header"),
        ("line 1", "column 'label' occurs more than once in the header"),
    }


@pytest.mark.parametrize("split", ["dev", "test"])
def test_ids_of_what_is_predicted_tell_rows_apart(rte, split):
    rows = ["0\ta\tb\tentailment", "1\ta\tb\tentailment", "0\tc\td\tentailment"]
    (problem,) = problems(rte(HEADER, *rows, file=f"{split}.tsv"), split=split).problems
    text = "1 occur more than once, so predictions cannot be matched to rows: 0"
    assert (problem.location, problem.text) == ("ids", text)
    assert len(read("glue/rte", "train", rte(HEADER, *rows))) == 3


def test_a_header_without_a_column_is_refused_with_the_nearest_name(rte):
    (problem,) = problems(rte(HEADER.replace("sentence2", "sentnce2"), GOOD)).problems
    assert problem.location == "line 1"
    assert problem.text == "no column named 'sentence2'; did you mean 'sentnce2'?"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(rte, content):
    assert "is empty" in str(problems(rte(content=content)))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "RTE" / "train.tsv").mkdir(parents=True)
    assert "cannot be read: Is a directory" in str(problems(tmp_path))


def test_a_file_with_only_a_header_is_refused(rte):
    assert "a header and no rows" in str(problems(rte(HEADER)))


def test_bytes_that_are_not_utf8_are_named_by_line(rte):
    rows = f"{HEADER}\n{GOOD}\n1\tcaf".encode() + b"\xe9\tb\tentailment\n"
    (problem,) = problems(rte(content=rows)).problems
    assert problem.location == "line 3"
    assert problem.text == "byte 0xe9 at position 6 is not UTF-8; convert the file to UTF-8"


def test_nul_bytes_and_utf16_are_named(rte):
    (problem,) = problems(rte(HEADER, GOOD, "1\ta\0\tb\tentailment")).problems
    assert (problem.location, problem.text[:15]) == ("line 3", "holds a NUL byt")
    assert "is UTF-16" in str(problems(rte(content=f"{HEADER}\n{GOOD}\n".encode("utf-16"))))


def test_listed_ids_that_no_row_has_are_named(tmp_path):
    (tmp_path / "MRPC").mkdir()
    text = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t10\t11\ta\tb\n0\t12\t13\tc\td\n"
    (tmp_path / "MRPC" / "msr_paraphrase_train.txt").write_text(text)
    ids = tmp_path / "MRPC" / "dev_ids.tsv"
    ids.write_text("12\t13\n")
    assert [row["sentence1"] for row in read("glue/mrpc", "train", tmp_path)] == ["a"]
    assert [row["sentence1"] for row in read("glue/mrpc", "dev", tmp_path)] == ["c"]
    ids.write_text("12\t13\n14\t15\n")
    (problem,) = problems(tmp_path, name="glue/mrpc", split="dev").problems
    assert problem.location == "dev_ids.tsv"
    assert problem.text.startswith("1 of its 2 rows name ids that no row has, for example 14, 15")
