"""Small valid data files of each file format: toys for the tests of readers and of scoring."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from raysearch.tasks import Split, Task, get


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A valid file of one split of a task, and what damaged copies of it look like.

    Attributes:
        task_name: the task.
        split_name: the split.
        path: the file, under the data root.
        content: its text, with a line feed at the end of every line.
        broken: the text with one line that cannot be read as the format asks.
        broken_location: the place of that line in the error.
        unusable: the text with one example that cannot be used, and all others as they were.
        unusable_index: the index of that example.
        unusable_location: its place in the error.
        repeated: the text with one more example at the end, which is a copy of the first.
        repeated_location: the place in the error that refuses it; None if the reader numbers the
            examples, so that their ids stay unique.
    """

    task_name: str
    split_name: str
    path: str
    content: str
    broken: str
    broken_location: str
    unusable: str
    unusable_index: int
    unusable_location: str
    repeated: str
    repeated_location: str | None = None

    @property
    def task(self) -> Task:
        """The task of the file."""
        return get(self.task_name)

    @property
    def split(self) -> Split:
        """The split of the file."""
        return self.task.splits()[self.split_name]

    def write(self, root: Path, content: str | bytes | None = None) -> Path:
        """Write the file, or other content in its place, and return its path."""
        path = root / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.content if content is None else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


def lines(*rows: str) -> str:
    """Return rows as lines that end with a line feed."""
    return "".join(f"{row}\n" for row in rows)


def squad_text(*names: str, second: bool = False) -> str:
    """Return a file in SQuAD's format whose questions have these ids; the answer is `Ümit`.

    Args:
        names: the ids of the questions, one line each.
        second: in the format of SQuAD 2.0, where the last question has no answer.
    """
    questions = []
    for index, name in enumerate(names):
        unanswerable = second and index == len(names) - 1
        answers = [] if unanswerable else [{"text": "Ümit", "answer_start": 4}]
        question = {"id": name, "question": f"Who, {index}?", "answers": answers}
        if second:
            question["is_impossible"] = unanswerable
        questions.append(json.dumps(question, ensure_ascii=False))
    context = "Say Ümit, he said."
    body = ",\n".join(questions)
    return (
        '{"version": "1",\n"data": [{"title": "t", "paragraphs": [\n'
        f'{{"context": "{context}", "qas": [\n{body}\n]}}]}}]}}\n'
    )


def race_text(*answers: str) -> str:
    """Return a file of RACE with a question for each of these answers, letters."""
    content = {
        "article": "Ümit said it.\nTwice.",
        "questions": [f"Who, {number}?" for number in range(len(answers))],
        "options": [["a", "b", "ç", "d"] for _ in answers],
        "answers": list(answers),
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


_RTE_HEADER = "index\tsentence1\tsentence2\tlabel"
_RTE = (
    "7\tIt rains in Köln.\tIt is wet.\tentailment",
    '9\tHe said "no.\tHe agreed.\tnot_entailment',
    "8\tA cat.\tAn animal.\tentailment",
)
_XNLI = ("Es regnet.\tKöln ist naß.\tneutral", "a\tb\tentailment", "c\td\tcontradiction")
_PANX = ("Ümit\tB-PER\nlacht\tO", "Ulm\tB-LOC\n.\tO", "Ja\tO")
_TEXT = ("One line.", "Zwei, längere Zeile.", "Three")

RTE = DataFile(
    task_name="glue/rte",
    split_name="dev",
    path="RTE/dev.tsv",
    content=lines(_RTE_HEADER, *_RTE),
    broken=lines(_RTE_HEADER, _RTE[0], "9\tHe said no.", _RTE[2]),
    broken_location="line 3",
    unusable=lines(_RTE_HEADER, _RTE[0], "9\ta\tb\tperhaps", _RTE[2]),
    unusable_index=1,
    unusable_location="line 3",
    repeated=lines(_RTE_HEADER, *_RTE, _RTE[0]),
    repeated_location="ids",
)
XNLI = DataFile(
    task_name="xtreme/xnli",
    split_name="de",
    path="xtreme/xnli/dev-de.tsv",
    content=lines(*_XNLI),
    broken=lines(_XNLI[0], "a\tb", _XNLI[2]),
    broken_location="line 2",
    unusable=lines(_XNLI[0], "a\tb\tperhaps", _XNLI[2]),
    unusable_index=1,
    unusable_location="line 2",
    repeated=lines(*_XNLI, _XNLI[0]),
)
SQUAD = DataFile(
    task_name="squad/v1.1",
    split_name="dev",
    path="squad/dev-v1.1.json",
    content=squad_text("q1", "q2", "q3"),
    broken=squad_text("q1", "q2", "q3").replace('"id": "q2",', '"id" "q2",'),
    broken_location="line 5 character 7",
    unusable=squad_text("q1", "q2", "q3").replace('"question": "Who, 1?"', '"question": 1'),
    unusable_index=1,
    unusable_location="data[0].paragraphs[0].qas[1]",
    repeated=squad_text("q1", "q2", "q3", "q1"),
    repeated_location="data[0].paragraphs[0].qas[3]",
)
SQUAD_2 = DataFile(
    task_name="squad/v2.0",
    split_name="train",
    path="squad/train-v2.0.json",
    content=squad_text("q1", "q2", "q3", second=True),
    broken=squad_text("q1", "q2", "q3", second=True).replace('"q2", ', '"q2" '),
    broken_location="line 5 character 13",
    unusable=squad_text("q1", "q2", "q3", second=True).replace(
        '"Who, 1?", "answers": [{"text": "Ümit"', '"Who, 1?", "answers": [{"text": "Anna"'
    ),
    unusable_index=1,
    unusable_location="data[0].paragraphs[0].qas[1]",
    repeated=squad_text("q1", "q2", "q3", "q1", second=True),
    repeated_location="data[0].paragraphs[0].qas[3]",
)
NUMBERED_SQUAD = DataFile(
    task_name="xtreme/tydiqa",
    split_name="train",
    path="xtreme/tydiqa/tydiqa.en.train.json",
    content=squad_text("q1", "q2", "q3"),
    broken=SQUAD.broken,
    broken_location=SQUAD.broken_location,
    unusable=SQUAD.unusable,
    unusable_index=1,
    unusable_location=SQUAD.unusable_location,
    repeated=SQUAD.repeated,
)
RACE = DataFile(
    task_name="race/middle",
    split_name="dev",
    path="race/dev/middle/1.txt",
    content=race_text("B", "A", "D"),
    broken=race_text("B", "A", "D").replace('"Who, 1?",', '"Who, 1?"'),
    broken_location="middle/1.txt line 6",
    unusable=race_text("B", "F", "D"),
    unusable_index=1,
    unusable_location="middle/1.txt question 2",
    repeated=race_text("B", "A", "D", "B"),
)
PANX = DataFile(
    task_name="xtreme/panx",
    split_name="de",
    path="xtreme/panx/dev-de.tsv",
    content="\n".join(f"{sentence}\n" for sentence in _PANX),
    broken="\n".join(f"{sentence}\n" for sentence in (_PANX[0], "Ulm\tB-LOC\n. O", _PANX[2])),
    broken_location="line 5",
    unusable="\n".join(f"{sentence}\n" for sentence in (_PANX[0], "Ulm\tLOC\n.\tO", _PANX[2])),
    unusable_index=1,
    unusable_location="line 4",
    repeated="\n".join(f"{sentence}\n" for sentence in (*_PANX, _PANX[0])),
)
TEXT = DataFile(
    task_name="text/lines",
    split_name="train",
    path="text/train.txt",
    content=lines(*_TEXT),
    broken=lines(_TEXT[0], "Zwei, \0 Zeile.", _TEXT[2]),
    broken_location="line 2",
    unusable=lines(_TEXT[0], "Zwei, \0 Zeile.", _TEXT[2]),
    unusable_index=1,
    unusable_location="line 2",
    repeated=lines(*_TEXT, _TEXT[0]),
)


def objects(*rows: dict[str, object]) -> str:
    """Return an object a line."""
    return lines(*(json.dumps(row, ensure_ascii=False) for row in rows))


def _of_objects(
    name: str,
    path: str,
    rows: tuple[dict[str, object], ...],
    unusable: dict[str, object],
    split: str = "dev",
) -> DataFile:
    """Return a file with an object a line, of which the second one is broken or unusable."""
    text = objects(*rows)
    return DataFile(
        task_name=name,
        split_name=split,
        path=path,
        content=text,
        broken=text.replace("\n{", "\n[", 1),
        broken_location="line 2",
        unusable=objects(rows[0], unusable, rows[2]),
        unusable_index=1,
        unusable_location="line 2",
        repeated=objects(*rows, rows[0]),
        repeated_location="ids",
    )


_BOOLQ = (
    {"question": "is köln a city", "passage": "Köln is a city.", "idx": 0, "label": True},
    {"question": "is it", "passage": "Perhaps.", "idx": 1, "label": False},
    {"question": "was it", "passage": "It was.", "idx": 2, "label": True},
)
BOOLQ = _of_objects("superglue/boolq", "BoolQ/val.jsonl", _BOOLQ, {**_BOOLQ[1], "label": "perhaps"})
_AX_G = tuple(
    {"premise": f"Die Köchin {number}.", "hypothesis": "She slept.", "idx": number}
    for number in range(3)
)
AX_G = _of_objects(
    "superglue/ax-g", "AX-g/AX-g.jsonl", _AX_G, {**_AX_G[1], "premise": 7}, split="test"
)
_COPA = (
    {"premise": "My body cast a shadow.", "choice1": "The sun was rising.",
     "choice2": "Das Gras wurde gemäht.", "question": "cause", "label": 0, "idx": 0},
    {"premise": "He fell.", "choice1": "He sang.", "choice2": "It hurt.", "question": "effect",
     "label": 1, "idx": 1},
    {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I slept.", "question": "effect",
     "label": 0, "idx": 2},
)  # fmt: skip
COPA = _of_objects("superglue/copa", "COPA/val.jsonl", _COPA, {**_COPA[1], "question": "why"})
_WIC = (
    {"word": "place", "sentence1": "Do you want to come over to my place?", "start1": 31,
     "sentence2": "A political sÿstem with no place. Übel.", "label": False, "idx": 0},
    {"word": "bat", "sentence1": "A bat flew.", "sentence2": "A wooden bat.", "label": False,
     "idx": 1},
    {"word": "run", "sentence1": "I run.", "sentence2": "You run.", "label": True, "idx": 2},
)  # fmt: skip
WIC = _of_objects("superglue/wic", "WiC/val.jsonl", _WIC, {**_WIC[1], "word": None})


def _wsc(index: int, text: str, label: bool) -> dict[str, object]:
    target = {"span1_text": "Märk", "span1_index": 0, "span2_text": "he", "span2_index": 3}
    return {"text": text, "target": target, "label": label, "idx": index}


_WSC = (
    _wsc(0, "Märk told Pete he was late.", True),
    _wsc(1, "Märk told Bob he was not.", False),
    _wsc(2, "Märk asked Ann he said.", True),
)
WSC = _of_objects("superglue/wsc", "WSC/val.jsonl", _WSC, {**_WSC[1], "text": "Too short here"})


def multirc_row(idx: int, *labels: int | None) -> dict[str, object]:
    """Return a passage of MultiRC with a question and an answer for each label."""
    answers = [
        {"text": f"Antwort {number}, schön", "idx": 10 * idx + number, "label": label}
        for number, label in enumerate(labels)
    ]
    question = {"question": "Why?", "idx": idx, "answers": answers}
    passage = {"text": f"Sent {idx}: Köln.", "questions": [question]}
    return {"idx": idx, "version": 1.1, "passage": passage}


_MULTIRC = (multirc_row(0, 1), multirc_row(1, 0), multirc_row(2, 1))
MULTIRC = replace(
    _of_objects("superglue/multirc", "MultiRC/val.jsonl", _MULTIRC, multirc_row(1, 5)),
    unusable_location="line 2 questions[0].answers[0]",
)


def record_row(idx: int, query: str, answer: str) -> dict[str, object]:
    """Return a passage of ReCoRD with one query; its entities are Köln and Ann."""
    text = f"Ann was in Köln.\n@highlight\nIt was day {idx}."
    spans = [{"start": 0, "end": 2}, {"start": 11, "end": 14}, {"start": 0, "end": 2}]
    answers = [{"start": text.index(answer), "end": text.index(answer), "text": answer}]
    question = {"query": query, "answers": answers, "idx": 100 + idx}
    passage = {"text": text, "entities": spans}
    return {"source": "toy", "passage": passage, "qas": [question], "idx": idx}


_RECORD = (
    record_row(0, "@placeholder was there", "Ann"),
    record_row(1, "She was in @placeholder", "Köln"),
    record_row(2, "Who? @placeholder", "Ann"),
)
RECORD = replace(
    _of_objects(
        "superglue/record", "ReCoRD/val.jsonl", _RECORD, record_row(1, "She was there", "Köln")
    ),
    unusable_location="line 2 qas[0]",
)


def _csqa(name: str, answer: str) -> dict[str, object]:
    choices = [{"label": letter, "text": f"Höhle {letter}"} for letter in "ABCDE"]
    question = {"question_concept": "fox", "choices": choices, "stem": "Where would a fox be?"}
    return {"answerKey": answer, "id": name, "question": question}


_CSQA = (_csqa("q1", "B"), _csqa("q2", "A"), _csqa("q3", "E"))
COMMONSENSE_QA = _of_objects(
    "csqa/rand", "CommonsenseQA/dev_rand_split.jsonl", _CSQA, _csqa("q2", "F")
)

DATA_FILES = {
    "tsv with ids": RTE,
    "tsv without a header": XNLI,
    "squad 1.1": SQUAD,
    "squad 2.0": SQUAD_2,
    "squad with numbered questions": NUMBERED_SQUAD,
    "race": RACE,
    "words": PANX,
    "text": TEXT,
    "objects": BOOLQ,
    "winogender": AX_G,
    "copa": COPA,
    "wic": WIC,
    "wsc": WSC,
    "multirc": MULTIRC,
    "record": RECORD,
    "commonsense qa": COMMONSENSE_QA,
}
