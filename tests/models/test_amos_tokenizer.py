"""AMOS's tokenizer against loops over the published rules, on toys and on real text."""

import io
import itertools
import json
import pickle
import random
import shutil
import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from support.paths import SHARED
from transformers import AutoTokenizer, ByT5Tokenizer, T5Config

from raysearch import tasks
from raysearch.data import encoding_cache, readers
from raysearch.data.columns import pair_special_tokens
from raysearch.data.encoders import question_answering
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import auto_registration
from raysearch.models.amos.configuration import AmosConfig
from raysearch.models.amos.segmentation import line_of
from raysearch.models.amos.tokenization import AmosTokenizer
from raysearch.models.pretrained import read_tokenizer, tokenizer_files
from raysearch.recipes import Hyperparameters

DATA = SHARED / "data"
PUBLISHED = DATA / "tokenizers" / "kosmos2_fairseq"
real = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published files in shared/")

VECTORS = {
    "He said, ``I don't know.''": 'He said , " I don\'t know ."',
    "“Quoted” — it’s (1895-1943).": '" Quoted " - it\'s ( 1895-1943 ).',
    "U.S.A. isn't well-known...": "U.S.A . isn't well-known ...",
    "rock 'n' roll": "rock ' n ' roll",
    "they 'll go ; we 'VE been": "they 'll go ; we 'VE been",
    "$5,000.00!!": "$ 5,000.00 !!",
    "(foo)bar": "( foo)bar",
    "C++ and C#": "C ++ and C #",
    "don 't": "don 't",
    "--x--": "-- x --",
    "'tis": "' tis",
}
TOY_LINES = """\
The old man (who lived in London) said: "It's only 1,024 pounds, isn't it?"
She didn't know; they'd gone to the well-known house - number 42 - at 10:30.
A model of words & pieces is trained on a few lines... and that's all!
We'll see what you're doing. I've been there, he's not; the cat can't.
Ada Lovelace wrote the first program in 1843. Was it long? No, 25 lines.
""".splitlines()


# What the tokenizer is measured by: the published rules, a step after the other


def is_punctuation(letter):
    number = ord(letter)
    ranges = ((33, 47), (58, 64), (91, 96), (123, 126))
    ascii_symbol = any(low <= number <= high for low, high in ranges)
    return ascii_symbol or unicodedata.category(letter).startswith("P")


def slow_words(text):
    """Quotes and dashes, then punctuation around words, then clitics."""
    plain, at = [], 0
    replaced = dict(zip("‘’´“”—–", "'''\"\"--", strict=True))
    while at < len(text):
        double = text[at : at + 2] in ("``", "''")
        plain.append('"' if double else replaced.get(text[at], text[at]))
        at += 2 if double else 1
    cut = []
    for word in "".join(plain).split():
        inner = [at for at, letter in enumerate(word) if not is_punctuation(letter)]
        parts = [word]
        if inner:
            first, last = inner[0], inner[-1] + 1
            parts = [word[:first], word[first:last], word[last:]]
        cut += [part for part in parts if part]
    line, joined, at = " ".join(cut), "", 0
    while at < len(line):
        for ending in ("s", "m", "d", "S", "M", "D", "t", "T", "ll", "re", "ve", "LL", "RE", "VE"):
            stop = at + 2 + len(ending)
            behind = line[stop : stop + 1]
            if line[at:stop] == "' " + ending and not (behind.isalnum() or behind == "_"):
                joined += "'" + ending + (" " if ending in ("LL", "RE", "VE") else "")
                at = stop
                break
        else:
            joined += line[at]
            at += 1
    return joined.split()


def slow_pieces(processor, text):
    """The pieces of the whole line, without lone spaces before punctuation and at the end."""
    pieces = processor.encode(" ".join(slow_words(text)), out_type=str)
    kept = []
    for at, piece in enumerate(pieces):
        last = at == len(pieces) - 1
        if piece != "▁" or not (last or is_punctuation(pieces[at + 1][0])):
            kept.append(piece)
    return kept


def slow_ids(content):
    """Piece -> id, by counting lines."""
    ids = {}
    for line in content.decode().split("\n")[:-1]:
        ids[line.split(" ")[0]] = 4 + len(ids)
    return ids


def check(tokenizer, texts):
    """Ids and places of all texts."""
    contents = tokenizer._contents
    processor = sentencepiece.SentencePieceProcessor(model_proto=contents["sp.model"])
    ids = slow_ids(contents["dict.txt"])
    plain = tokenizer(texts, add_special_tokens=False)["input_ids"]
    made = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    assert made["input_ids"] == plain
    for text, row, spans in zip(texts, plain, made["offset_mapping"], strict=True):
        pieces = slow_pieces(processor, text)
        assert row == [ids.get(piece, 3) for piece in pieces], text
        ends = [0, *(stop for _, stop in spans)]
        begins = [*(begin for begin, _ in spans), len(text)]
        for at, (piece, (begin, stop)) in enumerate(zip(pieces, spans, strict=True)):
            normal = processor.normalize(line_of(text[begin:stop]).replace(" ", ""))
            spelled, piece = normal.replace("▁", ""), piece.replace("▁", "")
            assert piece in spelled, (text, piece)
            apart = ends[at] <= begin and stop <= begins[at + 1]
            assert apart or not text.isascii()
            if apart:  # else they share a character
                assert piece == spelled, (text, piece)
            # A lone space stands for nothing, or for one in a character's normal form.
            assert begin < stop if piece else begin == stop or "▁" in normal[1:]
            assert text[begin:stop] == text[begin:stop].strip()
        assert spans == sorted(spans)
        assert [stop for _, stop in spans] == sorted(stop for _, stop in spans)


def letters(seed, count):
    """Texts of random characters of all of Unicode's lower planes, quotes and marks most of all."""
    draw = random.Random(seed)
    planes = ((0, 0x250), (0x250, 0x3000), (0x3000, 0xD800), (0xFB00, 0x20000))
    dense = ((0x20, 0x7F), (0x2010, 0x2040), (0x300, 0x370), (0x2160, 0x2190))
    likely = "   ''`' smtdllrevLLREVE.-,(\"aahaha"

    def letter():
        if draw.random() < 0.4:
            return draw.choice(likely)
        return chr(draw.randrange(*draw.choice(planes + dense)))

    return ["".join(letter() for _ in range(draw.randrange(40))) for _ in range(count)]


def stutters(seed, count):
    """Texts of words that can be cut in several ways of the same score."""
    draw = random.Random(seed)
    parts = ("a", "ha", "la", "1", "0", "-", "!", "..", "na", "é", "‴", "the", "x")
    words = [draw.choice(parts) * draw.randint(1, 15) for _ in range(300)]
    return [" ".join(draw.choices(words, k=draw.randint(1, 60))) for _ in range(count)]


# Toys


def write_toy(folder, **options):
    """A small sp.model trained on a few lines, and its dict.txt in another order."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TOY_LINES), model_writer=model, vocab_size=200,
        hard_vocab_limit=False, minloglevel=2, **options,
    )  # fmt: skip
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sp.model").write_bytes(model.getvalue())
    pieces = [processor.id_to_piece(at) for at in range(3, len(processor))]
    write_lines(folder, [f"{piece} 1" for piece in reversed(pieces)])
    return folder


def write_lines(folder, lines):
    (folder / "dict.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def read_lines(folder):
    return (folder / "dict.txt").read_text(encoding="utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def toy_pair(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def pair(toy_pair, tmp_path):
    """A copy that a test may break."""
    return Path(shutil.copytree(toy_pair, tmp_path / "pair"))


@pytest.fixture(scope="module")
def toy(toy_pair):
    return AmosTokenizer.from_pretrained(toy_pair)


@pytest.fixture(scope="module")
def published():
    return AmosTokenizer(str(PUBLISHED / "sentencepiece.bpe.model"), str(PUBLISHED / "dict.txt"))


@pytest.fixture(scope="module")
def model_folder(toy_pair, tmp_path_factory):
    """A model folder as it is published: a configuration and the two files."""
    auto_registration.register()
    folder = Path(shutil.copytree(toy_pair, tmp_path_factory.mktemp("model") / "amos"))
    AmosConfig(vocab_size=300, max_position_embeddings=40).save_pretrained(folder)
    return folder


# Words


@pytest.mark.parametrize("text", VECTORS)
def test_words_are_cut_as_published(text):
    assert line_of(text) == VECTORS[text]
    assert slow_words(text) == VECTORS[text].split()


@pytest.mark.slow
def test_words_of_any_characters_are_those_of_the_rules():
    for text in [
        *letters(1, 2000),
        "",
        " \t\n",
        "'",
        "''",
        "' LLama ' LL! ' ll_ ' s ' LL-x",
        "'''s `` ’’",
    ]:
        assert line_of(text) == " ".join(slow_words(text)), text


# Ids


def test_the_ids_are_those_of_the_lines_behind_four_special_ones(toy, toy_pair):
    assert (toy.cls_token_id, toy.pad_token_id, toy.sep_token_id, toy.unk_token_id) == (0, 1, 2, 3)
    pieces = [line.split(" ")[0] for line in read_lines(toy_pair)]
    assert toy.convert_ids_to_tokens(list(range(4))) == ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    assert toy.convert_ids_to_tokens(list(range(4, 4 + len(pieces)))) == pieces
    assert toy.mask_token_id == 4 + len(pieces) == len(toy) - 1 == toy.vocab_size - 1
    assert toy.get_vocab() == {toy.convert_ids_to_tokens(at): at for at in range(len(toy))}
    assert toy.convert_tokens_to_ids(["[MASK]", "nowhere"]) == [toy.mask_token_id, 3]


@pytest.mark.parametrize("name", ["<mask>", "[MASK]"])
def test_a_line_may_be_the_mask(pair, name):
    lines = read_lines(pair)
    write_lines(pair, [*lines[:5], f"{name} 1", *lines[5:]])
    tokenizer = AmosTokenizer.from_pretrained(pair)
    assert tokenizer.mask_token_id == 9
    assert len(tokenizer) == 4 + len(lines) + 1
    assert tokenizer.convert_ids_to_tokens([8, 10]) == [line.split(" ")[0] for line in lines[4:6]]


def test_all_counts_may_be_missing_and_lines_may_end_as_on_windows(pair, toy):
    lines = read_lines(pair)
    for kept in ("\r\n".join(lines), "\r\n".join(line.split(" ")[0] for line in lines)):
        (pair / "dict.txt").write_bytes(kept.encode())
        assert AmosTokenizer.from_pretrained(pair).get_vocab() == toy.get_vocab()
    write_lines(pair, [lines[0].split(" ")[0], *lines[1:]])
    assert [place for place, _ in refused(pair)] == ["dict.txt line 1"]


def test_a_piece_without_a_line_is_unknown(pair):
    gone = "▁the"
    write_lines(pair, [line for line in read_lines(pair) if line.split(" ")[0] != gone])
    tokenizer = AmosTokenizer.from_pretrained(pair)
    assert tokenizer("the", add_special_tokens=False)["input_ids"] == [3]
    assert tokenizer.tokenize("the") == ["[UNK]"]


@pytest.mark.parametrize("text", ["[CLS] a [MASK]", "[MASK]", "<mask> <s>", "a[SEP]b [PAD][UNK]"])
def test_special_tokens_in_a_text_are_text(toy, text):
    (row,) = toy([text], add_special_tokens=False)["input_ids"]
    ids = slow_ids(toy._contents["dict.txt"])
    assert row == [ids.get(piece, 3) for piece in slow_pieces(toy._segmenter.processor, text)]
    assert not set(row) & {0, 1, 2, toy.mask_token_id}
    assert toy(text, padding=True, add_special_tokens=False)["input_ids"] == row
    assert toy.convert_tokens_to_ids(toy.tokenize(text)) == row


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["plain", "bpe", "char", "identity", "crossing", "suffix", "wide", "bare"]
)
def test_every_kind_of_model_gives_the_pieces_of_the_whole_line(tmp_path, kind):
    options = {
        "plain": {}, "bpe": {"model_type": "bpe"}, "char": {"model_type": "char"},
        "identity": {"normalization_rule_name": "identity"},
        "crossing": {"split_by_whitespace": False},
        "suffix": {"treat_whitespace_as_suffix": True}, "wide": {"remove_extra_whitespaces": False},
        "bare": {"add_dummy_prefix": False},
    }[kind]  # fmt: skip
    tokenizer = AmosTokenizer.from_pretrained(write_toy(tmp_path / "pair", **options))
    check(tokenizer, [*TOY_LINES, *VECTORS, "▁ a▁b ▁", *stutters(1, 40)])


@pytest.mark.slow
def test_random_characters_have_the_pieces_of_the_whole_line(toy):
    check(toy, letters(2, 1000))


@pytest.mark.slow
@real
def test_a_published_pair_gives_the_pieces_of_the_whole_line(published):
    texts = [*VECTORS, "a\ufdfab \u33a2", *letters(3, 1000), *stutters(2, 100)]
    for path in sorted((DATA / "race").glob("*/*/*.txt"))[::40]:
        texts.append(json.loads(path.read_text(encoding="utf-8"))["article"])
    for path in sorted((DATA / "xtreme").glob("*/*.tsv")):
        texts += path.read_text(encoding="utf-8").split("\n")[:50]
    for path in sorted((DATA / "xtreme").glob("*/*.json")):
        articles = json.loads(path.read_text(encoding="utf-8"))["data"][:8]
        texts += [article["paragraphs"][0]["context"] for article in articles]
    check(published, texts)


@pytest.mark.slow
@real
def test_the_pieces_of_published_words(published):
    assert len(published) == 63_997 + 5
    text = "He said, ``I don't know.''"
    made = published(text, add_special_tokens=False, return_offsets_mapping=True)
    spelled = [(token, text[begin:stop]) for token, (begin, stop)
               in zip(published.tokenize(text), made["offset_mapping"], strict=True)]  # fmt: skip
    assert spelled == [
        ("▁He", "He"), ("▁said", "said"), (",", ","), ('▁"', "``"), ("▁I", "I"), ("▁don", "don"),
        ("'", "'"), ("t", "t"), ("▁know", "know"), ('."', ".''"),
    ]  # fmt: skip
    assert published.decode(made["input_ids"]) == 'He said, " I don\'t know."'


# Sequences


def test_a_text_has_one_separator_and_a_pair_has_three(toy):
    a, b = (toy.convert_tokens_to_ids(toy.tokenize(text)) for text in ("the cat", "a house"))
    assert toy("the cat")["input_ids"] == [0, *a, 2]
    assert toy("the cat", "a house") == {
        "input_ids": [0, *a, 2, 2, *b, 2], "attention_mask": [1] * (len(a) + len(b) + 4)
    }  # fmt: skip
    assert toy(["the cat"], [""])["input_ids"] == [[0, *a, 2, 2, 2]]
    assert toy("")["input_ids"] == [0, 2]
    assert toy([])["input_ids"] == []
    assert pair_special_tokens(toy) == ([0], [2, 2], [2])
    assert toy.decode([0, *a, 2, 2, *b, 2], skip_special_tokens=True) == "the cat a house"


def popped(first, second, most):
    """Tokens fall off the longer text, off the second where they are alike."""
    first, second = list(first), list(second)
    while len(first) + len(second) > most:
        (first if len(first) > len(second) else second).pop()
    return first, second


@pytest.mark.parametrize("placed", [False, True])
def test_the_longer_text_of_a_pair_is_cut_first(toy, placed):
    words = list(".,?!():;")
    ids = toy.convert_tokens_to_ids(toy.tokenize(" ".join(words)))
    assert len(set(ids)) == 8
    for one in range(9):
        for two in range(9):
            texts = " ".join(words[:one]), " ".join(words[8 - two :])
            for most in range(4, 21):
                made = toy(*texts, truncation="longest_first", max_length=most,
                           return_offsets_mapping=placed)  # fmt: skip
                first, second = popped(ids[:one], ids[8 - two :], most - 4)
                assert made["input_ids"] == [0, *first, 2, 2, *second, 2]
                if placed:
                    ends = [0, *(2 * at + 1 for at in range(len(first))), 0, 0]
                    assert [stop for _, stop in made["offset_mapping"]][: len(ends)] == ends


def test_truncation_knows_single_texts_sides_and_no_limit(toy):
    ids = toy.convert_tokens_to_ids(toy.tokenize(". , ? ! :"))
    assert toy([". , ? ! :"], truncation=True, max_length=5)["input_ids"] == [[0, *ids[:3], 2]]
    assert toy(". , ? ! :", max_length=5, truncation=False)["input_ids"] == [0, *ids, 2]
    only = toy(". , ?", ". , ?", truncation="only_second", max_length=8)["input_ids"]
    assert only == [0, *ids[:3], 2, 2, ids[0], 2]
    left = pickle.loads(pickle.dumps(toy))
    left.truncation_side = "left"
    assert left(". , ? ! :", truncation=True, max_length=4)["input_ids"] == [0, *ids[3:], 2]


def test_what_transformers_does_slowly_gives_the_same_rows(toy):
    texts, pairs = ["the cat's", "", "No, 25 lines."], ["a house", "(it) — is", "'"]
    rows = toy(texts, pairs, truncation=True, max_length=12)["input_ids"]
    further = toy(texts, pairs, truncation=True, max_length=12, padding=True, return_tensors="np",
                  return_special_tokens_mask=True)  # fmt: skip
    longest = max(map(len, rows))
    assert further["input_ids"].tolist() == [row + [1] * (longest - len(row)) for row in rows]
    assert further["attention_mask"].sum(1).tolist() == list(map(len, rows))
    assert further["special_tokens_mask"][0].tolist()[:1] == [1]
    assert (
        toy(list(zip(texts, pairs, strict=True)), truncation=True, max_length=12)["input_ids"]
        == rows
    )
    split = toy([["the", "cat's"]], is_split_into_words=True, add_special_tokens=False)
    alone = toy(["the", "cat's"], add_special_tokens=False)["input_ids"]
    assert split["input_ids"] == [[*alone[0], *alone[1]]]
    with pytest.raises(NotImplementedError, match="offsets"):
        toy(texts, padding=True, return_offsets_mapping=True)


# Places


@pytest.mark.slow
@real
@pytest.mark.parametrize("file", ["train-v1.1", "dev-v1.1", "train-v2.0", "dev-v2.0"])
def test_real_answers_begin_and_end_in_a_token(published, file):
    articles = json.loads((DATA / "squad" / f"{file}.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]][::20]
    contexts = [paragraph["context"] for paragraph in paragraphs]
    made = published(contexts, add_special_tokens=False, return_offsets_mapping=True)
    count = 0
    for paragraph, spans in zip(paragraphs, made["offset_mapping"], strict=True):
        held = {at for begin, stop in spans for at in range(begin, stop)}
        for question in paragraph["qas"]:
            for answer in question["answers"]:
                start, text = answer["answer_start"], answer["text"]
                inner = [start + at for at, letter in enumerate(text) if not letter.isspace()]
                assert {inner[0], inner[-1]} <= held, (text, paragraph["context"])
                count += 1
    assert count > 100


@pytest.mark.slow
@real
def test_windows_find_real_answers(published):
    task = tasks.get("squad/v2.0")
    examples = list(readers.read(task, task.train, DATA))[::12]
    texts = question_answering._tokenize_contexts(
        published, [example["context"] for example in examples]
    )
    exact = total = 0
    for example in examples:
        text, context = texts[example["context"]], example["context"]
        for answer, _ in example["answers"][:1]:
            first, last = question_answering._answer_tokens(example, text) or (0, 0)
            exact += context[text.begin[first] : text.stop[last]].strip(" .,\"'()") == answer.strip(
                " .,\"'()"
            )
            total += 1
    assert exact >= 0.97 * total > 300


# Files


def test_a_saved_tokenizer_is_the_same_files_and_loads_again(toy, toy_pair, model_folder, tmp_path):
    toy.save_pretrained(tmp_path / "saved")
    for name in ("sp.model", "dict.txt"):
        assert (tmp_path / "saved" / name).read_bytes() == (toy_pair / name).read_bytes()
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert names == {"sp.model", "dict.txt", "tokenizer_config.json"}
    for folder in (tmp_path / "saved", model_folder):
        again = AutoTokenizer.from_pretrained(folder)
        assert type(again) is AmosTokenizer
        assert again("the cat's", "(a)") == toy("the cat's", "(a)")
        assert tokenizer_files(again) == tokenizer_files(toy)
    made = AmosTokenizer(str(toy_pair / "sp.model"), str(toy_pair / "dict.txt"))
    assert tokenizer_files(made) == tokenizer_files(toy)


def test_a_tokenizer_outlives_its_folder_and_its_process(pair, toy, tmp_path):
    tokenizer = AmosTokenizer.from_pretrained(pair)
    shutil.rmtree(pair)
    again = pickle.loads(pickle.dumps(tokenizer))
    again.save_pretrained(tmp_path / "saved")
    assert again("the cat") == toy("the cat")
    assert AmosTokenizer.from_pretrained(tmp_path / "saved").digest == toy.digest


def test_the_digest_is_that_of_both_files_and_of_nothing_else(pair, toy):
    assert encoding_cache.tokenizer_digest(AmosTokenizer.from_pretrained(pair)) == toy.digest
    write_lines(pair, read_lines(pair)[::-1])
    assert AmosTokenizer.from_pretrained(pair).digest != toy.digest
    write_lines(pair, read_lines(pair)[::-1])
    write_toy(pair, model_type="bpe")
    assert AmosTokenizer.from_pretrained(pair).digest != toy.digest


def test_a_model_folder_is_read_as_any_other(model_folder, tmp_path):
    tokenizer = read_tokenizer(str(model_folder), ())
    assert tokenizer.model_max_length == 40
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    ByT5Tokenizer().save_pretrained(tmp_path / "bytes")
    T5Config().save_pretrained(tmp_path / "bytes")
    with pytest.raises(InputError, match="no fast tokenizer"):
        read_tokenizer(str(tmp_path / "bytes"), ())


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1363614\n"
)


def refused(folder):
    """(place, text) of every problem."""
    with pytest.raises(InputError) as caught:
        AmosTokenizer.from_pretrained(folder)
    assert str(folder) in caught.value.source
    return [(problem.location, problem.text) for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["sp.model", "dict.txt"])
@pytest.mark.parametrize(
    ("content", "said"),
    [(POINTER, f"a Git LFS pointer of {len(POINTER)} bytes, not the file\n`git lfs pull`"),
     (b"", "is empty; download it again"),
     (b"\n<!DOCTYPE html><html>", "a web page of 22 bytes"), (None, "is missing")],
)  # fmt: skip
def test_what_stands_in_for_a_file_is_named(pair, name, content, said):
    (pair / name).unlink()
    if content is not None:
        (pair / name).write_bytes(content)
    ((place, text),) = refused(pair)
    assert (place, text[: len(said)]) == (name, said)


def test_both_files_are_reported_at_once(pair):
    (pair / "sp.model").write_bytes(POINTER)
    write_lines(pair, ["a 1", "b 1", "a 1", "c d 1", "e x", "", "<pad> 1"])
    (pointer, *lines) = refused(pair)
    assert pointer[0] == "sp.model"
    assert lines == [
        ("dict.txt line 3", "'a' again, which is line 1 already"),
        ("dict.txt line 5", "'e x' is not a piece, a space and its count"),
        ("dict.txt line 6", "'' is not a piece, a space and its count"),
        ("dict.txt line 7", "'[PAD]' has an id already, without a line"),
    ]


def test_a_model_that_is_cut_short_anywhere_is_told(pair):
    whole = (pair / "sp.model").read_bytes()
    step = len(whole) // 40
    cuts = [1, 2, 3, 10, *range(step, len(whole), step), len(whole) - 1]
    for cut in cuts:
        (pair / "sp.model").write_bytes(whole[:cut])
        assert refused(pair) == [
            ("sp.model", f"ends after {cut:,} bytes, before it is whole; download it again")
        ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"not a model at all", "no SentencePiece model: b'not a model at a'"),
     (b"\x0a\x02\x0a\x00\x12\x00\x1a\x00", "SentencePiece cannot read it: ")],
)  # fmt: skip
def test_what_is_no_model_is_told(pair, content, said):
    (pair / "sp.model").write_bytes(content)
    ((place, text),) = refused(pair)
    assert place == "sp.model"
    assert text.startswith(said)


def test_a_model_of_bytes_is_refused(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TOY_LINES), model_writer=model, vocab_size=400, byte_fallback=True,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (tmp_path / "sp.model").write_bytes(model.getvalue())
    write_lines(tmp_path, ["a 1"])
    assert "single bytes" in refused(tmp_path)[0][1]


def test_lines_that_are_not_utf8_are_told(pair):
    content = (pair / "dict.txt").read_bytes()
    at = content.index(b"\n") + 1
    (pair / "dict.txt").write_bytes(content[:at] + b"caf\xe9 1\n" + content[at:])
    ((place, text),) = refused(pair)
    assert place == "dict.txt line 2"
    assert "0xe9" in text


def test_only_the_first_of_many_broken_lines_are_shown(pair):
    write_lines(pair, ["x 1"] * 40)
    problems = refused(pair)
    assert len(problems) == 11
    assert problems[-1] == ("...", "and 29 more lines")


def test_files_of_different_tokenizers_are_no_pair(pair):
    lines = read_lines(pair)
    strange = [f"{number} 9" for number in range(10_000, 10_300)]
    for content, said in (
        (strange, "holds 0 of"),
        (lines[: len(lines) // 3], "holds 30 of the 91 pieces"),
        (lines + strange, "of its 392 tokens 91 are pieces"),
    ):
        write_lines(pair, content)
        ((place, text),) = refused(pair)
        assert (place, text[: len(said)]) == ("dict.txt", said)
        assert "no pair" in text


# Preparation


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder with a few lines of RTE, PAN-X and SQuAD."""
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    for folder in ("RTE", "xtreme/panx", "squad"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    rows = [
        f"{at}\t{one}\t{two}\t{('entailment', 'not_entailment')[at % 2]}"
        for at, (one, two) in enumerate(itertools.pairwise(TOY_LINES))
    ]
    path = tmp_path / "data" / "RTE" / "train.tsv"
    path.write_text("\n".join(["index\tsentence1\tsentence2\tlabel", *rows]) + "\n")
    tagged = "Ada's\tB-PER\n(the\tO\n\u200b\tO\nfirst\tO\n)\tO\n\nLondon\tB-LOC\n"
    (tmp_path / "data" / "xtreme" / "panx" / "train-en.tsv").write_text(tagged)
    context = "“Ada”  wrote the ﬁrst program in ½ a year; it’s long."
    questions = [
        {"id": str(at), "question": "What?",
         "answers": [{"text": text, "answer_start": context.index(text)}]}
        for at, text in enumerate(["Ada", "ﬁrst program", "½", "it’s long"])
    ]  # fmt: skip
    whole = {"version": "1.1", "data": [
        {"title": "Ada", "paragraphs": [{"context": context, "qas": questions}]}
    ]}  # fmt: skip
    for name in ("train", "dev"):
        (tmp_path / "data" / "squad" / f"{name}-v1.1.json").write_text(json.dumps(whole))
    return tmp_path / "data"


def prepared(root, tokenizer, name, split="train", **settings):
    task = tasks.get(name)
    made = encoding_cache.prepare(
        HEADS[task.head].encoder,
        task,
        task.splits()[split],
        root,
        tokenizer,
        Hyperparameters(**settings),
    )
    return made, made.table.to_pylist()


def test_pairs_are_prepared_and_kept(root, toy):
    made, rows = prepared(root, toy, "glue/rte", max_length=24)
    assert set(rows[0]) == {"input_ids", "label", "id"}
    assert made.padding == {"input_ids": 1}
    for row, (one, two) in zip(rows, itertools.pairwise(TOY_LINES), strict=True):
        first, second = (toy.convert_tokens_to_ids(toy.tokenize(text)) for text in (one, two))
        first, second = popped(first, second, 20)
        assert row["input_ids"] == [0, *first, 2, 2, *second, 2]
    assert prepared(root, toy, "glue/rte", max_length=24)[0].cached


def test_words_with_tags_are_prepared_one_by_one(root, toy):
    _, rows = prepared(root, toy, "xtreme/panx", max_length=32)
    words = ["Ada's", "(the", "\u200b", "first", ")"]
    pieces = [toy.convert_tokens_to_ids(toy.tokenize(word)) or [3] for word in words]
    assert pieces[2] == [3]
    assert rows[0]["input_ids"] == [0, *(token for word in pieces for token in word), 2, 2]
    places = [at for at, word in enumerate(pieces) for _ in word]
    assert rows[0]["word"] == [-1, *places, -1, -1]
    assert len(rows) == 2


def test_answers_are_found_and_scored_on_the_text_itself(root, toy):
    _, rows = prepared(root, toy, "squad/v1.1", max_length=200)
    made = toy("“Ada”  wrote the ﬁrst program in ½ a year; it’s long.",
               add_special_tokens=False, return_offsets_mapping=True)  # fmt: skip
    for row, answer in zip(rows, ["Ada", "ﬁrst program", "½", "it’s long"], strict=True):
        assert row["input_ids"][row["at"] : row["at"] + row["count"]] == made["input_ids"]
        begin = made["offset_mapping"][row["start"] - row["at"]][0]
        stop = made["offset_mapping"][row["end"] - row["at"]][1]
        said = "“Ada”  wrote the ﬁrst program in ½ a year; it’s long."[begin:stop]
        assert said.removesuffix(".") == answer
    _, scored = prepared(root, toy, "squad/v1.1", "dev", max_length=200)
    assert list(zip(scored[0]["begin"], scored[0]["stop"], strict=True)) == made["offset_mapping"]
