"""Rows of tagged words: special tokens and how many words fit, as XTREME and xTune have it."""

import pytest
from support.paths import SHARED
from support.toys import toy_tokenizer
from transformers import PreTrainedTokenizerFast

from raysearch import tasks
from raysearch.data import readers
from raysearch.data.augmentation.operations import WordOperations
from raysearch.data.augmentation.view_pairs import TagViewBuilder
from raysearch.data.columns import pair_special_tokens, sentence_special_tokens
from raysearch.data.encoders import token_classification
from raysearch.recipes import Hyperparameters

DATA = SHARED / "data"
BARTHEZ = DATA / "tokenizers" / "barthez" / "tokenizer.json"
PANX = DATA / "xtreme" / "panx"
real = pytest.mark.skipif(
    not (BARTHEZ.is_file() and PANX.is_dir()), reason="needs the published files in shared/"
)


@pytest.fixture(scope="module")
def like_xlmr():
    """A Unigram tokenizer with XLM-R's templates: <s> A </s>, and <s> A </s></s> B </s>."""
    return PreTrainedTokenizerFast(
        tokenizer_file=str(BARTHEZ), bos_token="<s>", eos_token="</s>", cls_token="<s>",
        sep_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>",
    )  # fmt: skip


def xtreme(tokenizer, sentence, length):
    """The rows of a sentence by XTREME's rules, written out: a word at a time, a new row before the
    word with which more than length - 3 tokens would be in one, <s> words </s></s>."""
    one, end = tokenizer.convert_tokens_to_ids(["<s>", "</s>"])
    unknown, row, rows = tokenizer.convert_tokens_to_ids("<unk>"), [], []
    for word in sentence:
        ids = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))
        ids = ids if 0 < len(ids) <= length - 3 else [unknown]
        if len(row) + len(ids) > length - 3:
            rows.append([one, *row, end, end])
            row = []
        row = row + ids
    return [*rows, [one, *row, end, end]]


@pytest.mark.slow
@real
@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("split", ["train", "de", "test-sw"])
def test_rows_of_pan_x_are_those_of_xtremes_script(like_xlmr, split, length):
    task = tasks.get("xtreme/panx")
    everything = list(readers.read(task, task.splits()[split], DATA))
    examples = everything[:: len(everything) // 300]
    hyper = Hyperparameters(max_length=length)
    columns = token_classification.encode(examples, task, like_xlmr, hyper, train=False)
    rows = columns["input_ids"].to_pylist()
    wanted = [row for e in examples for row in xtreme(like_xlmr, e["words"], length)]
    assert rows == wanted
    assert max(map(len, rows)) <= length
    places = columns["word"].to_pylist()
    assert all((row[0], row[-2:]) == (-1, [-1, -1]) and -1 not in row[1:-2] for row in places)


# What sentencepiece gives for each word of the first training sentence, "R.H. Saunders ( St. ...".
FIRST = [[165, 49922, 49972, 49922], [1745, 6922, 135], [126], [1512, 49922], [26523], [18328],
         [3747], [126], [12759, 49969], [30250], [3747]]  # fmt: skip


@real
def test_the_first_row_of_pan_x_in_ids(like_xlmr):
    task = tasks.get("xtreme/panx")
    example = next(readers.read(task, task.train, DATA))
    assert example["words"][:3] == ("R.H.", "Saunders", "(")
    columns = token_classification.encode(
        [example], task, like_xlmr, Hyperparameters(max_length=128), train=False
    )
    assert columns["input_ids"].to_pylist() == [[0, *(one for ids in FIRST for one in ids), 2, 2]]
    columns = token_classification.encode(
        [example], task, like_xlmr, Hyperparameters(max_length=11), train=False
    )
    assert columns["input_ids"].to_pylist() == [
        [0, *FIRST[0], *FIRST[1], *FIRST[2], 2, 2],  # 8 tokens and 3
        [0, *FIRST[3], *FIRST[4], *FIRST[5], *FIRST[6], *FIRST[7], *FIRST[8], 2, 2],
        [0, *FIRST[9], *FIRST[10], 2, 2],
    ]


def test_a_tokenizer_whose_pair_has_one_separator_ends_a_sentence_with_one():
    """BERT's: [CLS] A [SEP] and [CLS] A [SEP] B [SEP]."""
    toy = toy_tokenizer()
    assert pair_special_tokens(toy) == ([2], [3], [3])
    assert sentence_special_tokens(toy) == ([2], [3])
    example = {"id": "0", "words": ("w1", "w2"), "label": (0, 1)}
    columns = token_classification.encode(
        [example], None, toy, Hyperparameters(max_length=16), train=False
    )
    assert columns["input_ids"].to_pylist() == [[2, 6, 7, 3]]


def templated(single, pair):
    """A toy tokenizer with other templates."""
    from tokenizers import processors

    toy = toy_tokenizer()
    ids = [("[CLS]", 2), ("[SEP]", 3), ("[MASK]", 4)]
    toy.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=ids
    )
    return toy


@pytest.mark.parametrize(
    ("single", "pair", "begin", "end"),
    [
        ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]", [2], [3, 3]),  # RoBERTa
        ("$A [SEP] [CLS]", "$A [SEP] $B [SEP] [CLS]", [], [3, 2]),  # XLNet
        ("$A [SEP]", "$A [SEP] $B [SEP]", [], [3]),  # T5
        ("[CLS] $A [SEP]", "[CLS] $A [MASK] $B [SEP]", [2], [3]),
        ("$A", "$A $B", [], []),
    ],
)
def test_the_end_of_a_sentence_follows_from_the_template_of_a_pair(single, pair, begin, end):
    assert sentence_special_tokens(templated(single, pair)) == (begin, end)


def test_views_of_words_have_the_same_frame_and_the_same_room():
    """stabletune cuts both views at max_length - 3 and ends both with two </s>."""
    toy = templated("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]")
    hyper = Hyperparameters(max_length=8)
    operations = WordOperations(hyper, toy, {}, ())

    class Sentence:
        def __init__(self):
            self.padding = {"input_ids": 0, "word": -1, "label": -100}

        def words(self, name, at):
            return [f"w{number}" for number in range(7)]

        def row(self, name, at):
            return list(range(7))

    maker = TagViewBuilder(Sentence(), None, operations, None, "same")
    view = maker.build(0, False, None, None, None)
    assert list(view.original["input_ids"]) == [2, 5, 6, 7, 8, 9, 3, 3]
    assert list(view.original["word"]) == [-1, 0, 1, 2, 3, 4, -1, -1]
    assert list(view.head_inputs["labels"]) == [0, 1, 2, 3, 4]
    example = {"id": "0", "words": tuple(f"w{number}" for number in range(7)), "label": (0,) * 7}
    columns = token_classification.encode([example], None, toy, hyper, train=False)
    assert columns["input_ids"].to_pylist() == [[2, 5, 6, 7, 8, 9, 3, 3], [2, 10, 11, 3, 3]]
