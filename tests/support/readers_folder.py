"""The folder of somebody who reads the pages: data, models and checkpoints under the names that the
pages have for them, so that commands run in it as they stand there."""

import csv
import json

import numpy as np

from support import fairseq_files, small_data
from support.pairs import WORDS, write
from support.paths import ROOT, SHARED

# The hub names and folders that pages use -> the family of the toy that lies there.
MODELS = {
    "MODEL": "bert", "bert-base-uncased": "bert", "microsoft/MiniLM-L12-H384-uncased": "bert",
    "roberta-base": "roberta", "albert-base-v2": "albert", "xlm-roberta-base": "xlm-roberta",
    "google/electra-small-discriminator": "electra",
}  # fmt: skip
PAIR_LABELS = ("contradiction", "entailment", "neutral")
SHAPE = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 520, "pad_token_id": 0,
}  # fmt: skip
# Studies of runs that pages take to be there.
_GRAMMAR = """tasks: [toy/grammar]
model: scratch
fixed: {BSZ: 32, LR: 4e-4, EPOCH: 2, WARMUP: 10, max_length: 32, evaluations: 2}
"""
STUDIES = {
    "plain": _GRAMMAR + "confirm: {seeds: [11, 12, 13]}\n",
    "r-drop": _GRAMMAR + "recipe: r_drop\nconfirm: {seeds: [11, 12, 13]}\n",
    "brief": _GRAMMAR
    + "search: {keep_weights: confirmed}\nconfirm: {seeds: [11, 12, 13, 14, 15]}\n",
    "roberta-rte": """tasks: [glue/rte]
model: roberta-base
fixed: {EPOCH: 1, max_length: 64}
search: {keep_weights: confirmed}
confirm: {seeds: [11, 12, 13, 14, 15]}
""",
}
RTE = SHARED / "data" / "glue" / "RTE"  # the pairs that docs/own_data.md shows


def write_readers_folder(folder):
    """Write everything that a reader of the pages has, but for runs."""
    random = np.random.default_rng(5)
    _write_data(folder / "DATA", random)
    (folder / "GLUE").symlink_to("DATA")
    _write_notes(folder / "data" / "notes", random)
    _write_quiz(folder / "quiz.csv", random)
    for name, family in MODELS.items():
        _write_model(folder / name, family)
    _write_checkpoints(folder)
    _write_predictions(folder)
    for name, text in STUDIES.items():
        (folder / f"{name}.yaml").write_text(text)
    for name in ("search_spaces", "clusters", "cluster.yaml", "Makefile"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def _write_quiz(path, random):
    """Questions with three options each."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("question", "a", "b", "c", "answer"))
        writer.writerows([*(small_data.text(random) for _ in range(4)), n % 3] for n in range(60))


def _write_data(root, random):
    for name in ("glue/rte", "glue/mnli", "glue/stsb", "race/middle", "squad/v2.0"):
        small_data.write_data(root, name)
    small_data.write_panx(root, random)
    small_data.write_squad(root, random)
    _write_glue(root, random)
    _write_race(root)
    _write_squad(root)
    _write_xtreme(root / "xtreme", random)
    for part, count in {"train": 60, "dev": 30, "test": 10}.items():
        lines = "".join(f"{small_data.text(random)}\n" for _ in range(count))
        (root / "text").mkdir(exist_ok=True)
        (root / "text" / f"{part}.txt").write_text(lines)
    (root / "dicts").mkdir()
    for language in ("de", "es", "zh"):
        words = "".join(f"{word} {word[::-1]}{language}\n" for word in WORDS)
        (root / "dicts" / f"en-{language}.txt").write_text(words)


def _write_glue(root, random):
    columns = ("index", "sentence1", "sentence2")
    rows = [(n, small_data.text(random), small_data.text(random)) for n in range(24)]
    write(root / "RTE" / "test.tsv", columns, rows)
    for part in ("train", "dev", "test"):
        pairs = [(small_data.text(random), small_data.text(random)) for _ in range(24)]
        columns = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
        mrpc = [(n % 2, n, n, *pair) for n, pair in enumerate(pairs)]
        if part == "test":
            columns, mrpc = ("index", *columns[1:]), [(n, *row[1:]) for n, row in enumerate(mrpc)]
        write(root / "MRPC" / f"{part}.tsv", columns, mrpc)
        columns = ("id", "qid1", "qid2", "question1", "question2", "is_duplicate")
        write(root / "QQP" / f"{part}.tsv", columns,
              [(n, n, n, *pair, n % 2) for n, pair in enumerate(pairs)])  # fmt: skip
    for name in ("matched", "mismatched"):
        rows = [(n, small_data.text(random), small_data.text(random)) for n in range(9)]
        write(root / "MNLI" / f"test_{name}.tsv", ("index", "sentence1", "sentence2"), rows)


def _write_race(root):
    (root / "race" / "test").symlink_to("dev")
    for part in ("train", "dev"):
        (root / "race" / part / "high").symlink_to("middle")


def _write_squad(root):
    """SQuAD 1.1: the questions of version 2.0, all with an answer."""
    for part in ("train", "dev"):
        content = json.loads((root / "squad" / f"{part}-v2.0.json").read_text())
        for paragraph in content["data"][0]["paragraphs"]:
            start = len(paragraph["context"]) - len("the key")
            for question in paragraph["qas"]:
                del question["is_impossible"]
                question["answers"] = [{"text": "the key", "answer_start": start}]
        (root / "squad" / f"{part}-v1.1.json").write_text(json.dumps(content | {"version": "1.1"}))


def _write_predictions(folder):
    """Write answers to SQuAD's questions, and the tags of PAN-X's words."""
    content = json.loads((folder / "DATA" / "squad" / "dev-v1.1.json").read_text())
    ids = [qa["id"] for one in content["data"][0]["paragraphs"] for qa in one["qas"]]
    (folder / "predictions.json").write_text(json.dumps(dict.fromkeys(ids, "the key")))
    (folder / "null_odds.json").write_text(json.dumps(dict.fromkeys(ids, 0.5)))
    (folder / "submission" / "panx").mkdir(parents=True)
    for language in ("de", "es"):
        lines = (folder / "DATA" / "xtreme" / "panx" / f"test-{language}.tsv").read_text()
        tags = "".join("O\n" if line else "\n" for line in lines.splitlines())
        (folder / "submission" / "panx" / f"test-{language}.tsv").write_text(tags)
    (folder / "predictions.tsv").write_text(tags)


def _write_xtreme(root, random):
    for name in ("dev-es", "test-de", "test-es"):
        text = (root / "panx" / "dev-de.tsv").read_text()
        (root / "panx" / f"{name}.tsv").write_text(text)
    (root / "xnli").mkdir()
    for part in ("dev-en", "dev-de", "train-en"):
        rows = [(small_data.text(random), small_data.text(random)) for _ in range(24)]
        lines = "".join(f"{a}\t{b}\t{PAIR_LABELS[n % 3]}\n" for n, (a, b) in enumerate(rows))
        (root / "xnli" / f"{part}.tsv").write_text(lines)
    translated = "".join(f"{a}\t{b}\t{a[::-1]}\t{b[::-1]}\tneutral\n" for a, b in rows)
    folder = root / "xtreme_translations" / "XNLI" / "translate-train"
    folder.mkdir(parents=True)
    (folder / "en-de-translated.tsv").write_text(translated)


def _write_notes(folder, random):
    """Write pairs as CSV and JSON lines: 480 of RTE where it is, else as many made-up ones."""
    folder.mkdir(parents=True)
    pairs = {"train": _rte("train", 480), "dev": _rte("dev", 277), "test": _rte("dev", 77)}
    if not RTE.is_dir():
        for part, count in {"train": 480, "dev": 277, "test": 77}.items():
            few, many = ("no", "yes") if part == "dev" else ("yes", "no")
            labels = [many if n % 9 < 5 else few for n in range(count)]
            pairs[part] = [(n, small_data.text(random), small_data.text(random), label)
                           for n, label in enumerate(labels)]  # fmt: skip
    names = ("key", "premise", "hypothesis", "gold")
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerows([names, *pairs[part]] if part == "train" else
                           [names[:3], *(row[:3] for row in pairs[part])])  # fmt: skip
    lines = (json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in pairs["dev"])
    (folder / "dev.jsonl").write_text("".join(lines))


def _rte(part, count):
    if not RTE.is_dir():
        return []
    lines = (RTE / f"{part}.tsv").read_text(encoding="utf-8").splitlines()[1 : count + 1]
    rows = [line.split("\t") for line in lines]
    return [(n, a, b, "yes" if label == "entailment" else "no") for n, a, b, label in rows]


def _write_model(folder, family):
    """Write a tiny encoder with random weights and a tokenizer of the toys' words."""
    import torch
    from transformers import AutoConfig, AutoModel

    from support.toys import TOY_CONFIGS, toy_tokenizer, toy_unigram

    letters = sorted({letter for word in WORDS for letter in word} - {"a"})  # "a" is a word
    is_divided = family == "xlm-roberta"
    tokenizer = toy_unigram(WORDS, ("▁", *letters)) if is_divided else toy_tokenizer(WORDS)
    config = AutoConfig.for_model(
        family, **{**SHAPE, **TOY_CONFIGS[family], "vocab_size": len(tokenizer)}
    )
    torch.manual_seed(7)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_checkpoints(folder):
    """Write checkpoints of AMOS, and of Cross-Thought and RoBERTa with one tokenizer."""
    import torch

    texts = [" ".join(WORDS)]
    tokens = fairseq_files.write_pieces(folder, texts)
    torch.save({"model": fairseq_files.amos(tokens, positions=520)}, folder / "model.pt")
    (folder / "FOLDER").mkdir()
    tokens = fairseq_files.write_pairs(folder / "FOLDER", texts)
    torch.save({"model": fairseq_files.cross_thought(tokens)}, folder / "checkpoint_best.pt")
    (folder / "roberta.large").mkdir()
    roberta = fairseq_files.roberta(tokens, positions=520)
    torch.save({"model": roberta}, folder / "roberta.large" / "model.pt")
