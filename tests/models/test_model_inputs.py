"""What models read is found in the built models: token types, lengths, padding, heads. All toys."""

import pyarrow as pa
import pytest
import torch
from support.families import FAMILY_OF_NAME
from support.paths import ROOT
from support.toys import toy_tokenizer

from raysearch import preflight, study, tasks
from raysearch.data.columns import GROUP
from raysearch.data.dataset import EncodedDataset
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import ReusableModel, read_pretrained, scratch
from raysearch.models.auto_models import ARCHITECTURES, attach_head
from raysearch.models.input_limits import NO_LIMIT, find_input_limits
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.saving import save_model
from raysearch.models.suitability import suitability_problems
from raysearch.recipes import Hyperparameters
from raysearch.study.model_names import POSITIONS
from raysearch.tasks import Task

CPU = torch.device("cpu")
STUDIES = ROOT / "search_spaces"
PAIR = Task(name="toy/pair", head="classify", inputs=("one", "two"), labels=("a", "b"),
            metric="accuracy", folder="", train=None)  # fmt: skip
CHOOSE = Task(name="toy/choose", head="choose", inputs=("passage", "question", "options"),
              metric="accuracy", folder="", train=None)  # fmt: skip
TAG = Task(name="toy/tag", head="tag", inputs=("words",), labels=("O", "B-X", "I-X"),
           metric="entity_f1", folder="", train=None)  # fmt: skip
SPAN = Task(name="toy/span", head="span", inputs=("question", "context"), metric="best_f1",
            folder="", train=None, unanswerable=True)  # fmt: skip
TASKS = {task.head: task for task in (PAIR, CHOOSE, TAG, SPAN)}
LONG = "w5 w6 w7 w8 w9 w10 w11 w12 w13 w14 w15"
ROWS = {
    "classify": [
        {"id": "0", "one": "w1 w2 w3", "two": "w4 w5", "label": 0},
        {"id": "1", "one": LONG, "two": "w1 w2", "label": 1},
    ],
    "choose": [
        {"id": "0", "passage": "w1 w2", "question": "w3 _", "options": ("w4", "w5"), "label": 0},
        {"id": "1", "passage": LONG, "question": "w3 _", "options": ("w4 w9", "w5"), "label": 1},
    ],
    "tag": [
        {"id": "0", "words": ("w1", "w2"), "label": (0, 1)},
        {"id": "1", "words": tuple(LONG.split()), "label": (0,) * 11},
    ],
    "span": [
        {"id": "0", "question": "w1 w2", "context": "w4 w5 w6", "answers": (("w5", 3),),
         "label": None},
        {"id": "1", "question": "w1", "context": LONG, "answers": (), "label": None},
    ],
}  # fmt: skip

_SHAPE = {
    "vocab_size": 85, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
_WORDS = {"vocab_size": 85, "pad_token_id": 0}
_SPECIAL = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
_APART = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
          "position_biased_input": False, "pooler_hidden_size": 16}  # fmt: skip
# Family -> configuration, longest row, token types. The lengths are what a forward pass takes.
FAMILIES = {
    "bert": (_SHAPE, 40, 2),
    "albert": ({**_SHAPE, "embedding_size": 8}, 40, 2),
    "electra": ({**_SHAPE, "embedding_size": 8}, 40, 2),
    "rembert": ({**_SHAPE, "input_embedding_size": 8, "output_embedding_size": 8}, 40, 2),
    "mobilebert": ({**_SHAPE, "embedding_size": 8, "intra_bottleneck_size": 8,
                    "true_hidden_size": 8, "num_feedforward_networks": 2}, 40, 2),
    "roberta": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "xlm-roberta": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "camembert": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "data2vec-text": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "roberta-prelayernorm": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "ibert": ({**_SHAPE, "type_vocab_size": 1}, 39, 1),
    "mpnet": ({**_SHAPE, "pad_token_id": 1}, 38, 0),
    "deberta": ({**_SHAPE, **_APART}, NO_LIMIT, 0),
    "deberta-v2": ({**_SHAPE, **_APART, "position_buckets": 8, "share_att_key": True}, NO_LIMIT, 0),
    "modernbert": ({**_SHAPE, **_SPECIAL}, 40, 0),
    "distilbert": ({**_WORDS, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32,
                    "max_position_embeddings": 40}, 40, 0),
    "xlnet": ({**_WORDS, "d_model": 16, "n_head": 2, "n_layer": 2, "d_inner": 32}, NO_LIMIT, 3),
    "funnel": ({**_WORDS, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32,
                "block_sizes": [1, 1]}, NO_LIMIT, 3),
    "xlm": ({"n_words": 85, "emb_dim": 16, "n_layers": 2, "n_heads": 2, "pad_index": 0,
             "max_position_embeddings": 40}, 40, 0),
    "nystromformer": ({**_SHAPE, "segment_means_seq_len": 40, "num_landmarks": 40}, 40, 2),
    "gpt2": ({**_WORDS, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}, 40, 0),
}  # fmt: skip
# The padded length enters what these say by design: Funnel's pools cut the last of a row's places,
# Nystromformer's attention takes means of stretches of a row.
BY_LENGTH = {"funnel", "nystromformer"}


def configuration(kind, **settings):
    from transformers import AutoConfig

    return AutoConfig.for_model(kind, **{**FAMILIES[kind][0], **settings})


def last_tokenizer():
    """XLNet's form of a row: words, [SEP], and the token that stands for the whole at the end."""
    from tokenizers import processors

    tokenizer = toy_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 [SEP]:0 [CLS]:2", pair="$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        special_tokens=[("[SEP]", 3), ("[CLS]", 2)],
    )  # fmt: skip
    tokenizer.padding_side = "left"
    return tokenizer


def folder_of(kind, path, *, tokenizer=None, **settings):
    """A folder with a tiny encoder of a family, its parameters drawn."""
    from transformers import AutoModel

    torch.manual_seed(7)
    model = AutoModel.from_config(configuration(kind, **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(path)
    made = tokenizer or (last_tokenizer() if kind == "xlnet" else toy_tokenizer())
    made.model_input_names = ["input_ids", "attention_mask"]  # as transformers 5 has it of many
    made.save_pretrained(path)
    return str(path)


def prepared(head, tokenizer, hyper, *, train=True, rows=None):
    encoder = HEADS[head].encoder
    columns = encoder.encode(rows or ROWS[head], TASKS[head], tokenizer, hyper, train=train)
    group = "2" if head == "choose" else "1"
    table = pa.Table.from_pydict(columns).replace_schema_metadata({GROUP: group})
    return EncodedDataset(table, encoder.padding(tokenizer))


@pytest.mark.parametrize("kind", FAMILIES)
def test_lengths_and_token_types_are_those_of_the_built_model(kind):
    _, limit, types = FAMILIES[kind]
    seen = find_input_limits(configuration(kind))
    assert (seen.limit, seen.types, seen.words) == (limit, types, 85)


@pytest.mark.parametrize("kind", [kind for kind, row in FAMILIES.items() if row[1] < NO_LIMIT
                                  if kind not in ("modernbert", "nystromformer")])  # fmt: skip
def test_a_row_of_the_limit_runs_and_a_longer_one_does_not(kind):
    from transformers import AutoModel

    model, limit = AutoModel.from_config(configuration(kind)).eval(), FAMILIES[kind][1]
    model(input_ids=torch.full((1, limit), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, limit + 1), 5))


@pytest.mark.parametrize("kind", ["bert", "albert", "rembert", "mobilebert", "electra"])
def test_pairs_have_token_types_whatever_the_tokenizer_lists(kind, tmp_path):
    tokenizer = read_tokenizer(folder_of(kind, tmp_path), ())
    hyper = Hyperparameters(max_length=30)
    rows = {head: prepared(head, tokenizer, hyper).row("token_type_ids", 0).tolist()
            for head in TASKS}  # fmt: skip
    assert rows == {
        "classify": [0] * 5 + [1] * 3,
        "choose": [0] * 4 + [1] * 3,
        "tag": [0] * 4,
        "span": [0] * 4 + [1] * 4,
    }


@pytest.mark.parametrize("kind", ["roberta", "deberta", "distilbert", "modernbert", "xlm", "gpt2"])
def test_models_without_token_types_of_their_own_get_none(kind, tmp_path):
    tokenizer = read_tokenizer(folder_of(kind, tmp_path), ())
    assert "token_type_ids" not in tokenizer.model_input_names
    assert not prepared("classify", tokenizer, Hyperparameters(max_length=30)).has("token_type_ids")


def test_xlnets_rows_end_with_the_token_that_stands_for_the_whole(tmp_path):
    tokenizer = read_tokenizer(folder_of("xlnet", tmp_path), ())
    hyper = Hyperparameters(max_length=14, qa_length=8)
    rows = {head: prepared(head, tokenizer, hyper) for head in TASKS}
    types = {head: one.row("token_type_ids", 0).tolist() for head, one in rows.items()}
    assert types == {
        "classify": [0] * 4 + [1] * 3 + [2],
        "choose": [0] * 3 + [1] * 3 + [2],
        "tag": [0] * 3 + [2],
        "span": [0] * 3 + [1] * 4 + [2],
    }
    for head, one in rows.items():  # cut rows too
        for row in one.values("input_ids"):
            assert len(row) <= 14, head
            assert row[-2:].tolist() == [3, 2], head


@pytest.mark.slow
@pytest.mark.parametrize("head", TASKS)
@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind not in BY_LENGTH])
def test_a_longer_example_beside_one_does_not_change_what_a_model_says_of_it(kind, head, tmp_path):
    tokenizer = last_tokenizer() if kind == "xlnet" else toy_tokenizer()
    if kind == "mpnet":  # its padding id is no other
        pytest.skip("the toy vocabulary pads with 0")
    from raysearch.models.input_limits import fit_tokenizer

    config = configuration(kind)
    fit_tokenizer(tokenizer, find_input_limits(config))
    config.num_labels = TASKS[head].outputs
    if kind == "gpt2" and head in ("choose",):
        config.num_labels = 1
    for span_head in ("plain", "conditional") if head == "span" else ("",):
        config.raysearch = {"span_head": span_head} if span_head else None
        torch.manual_seed(3)
        try:
            model = ARCHITECTURES[head].from_config(config, dtype=torch.float32)
        except InputError:
            pytest.skip(f"no {kind} for {head}")
        attach_head(model, head)
        model.eval()
        examples = prepared(head, tokenizer, Hyperparameters(max_length=30), train=False)
        with torch.inference_mode():
            alone, beside = (said(model, examples.collate(rows), head) for rows in ([0], [0, 1]))
        for one, other in zip(alone, beside, strict=True):
            width = one.shape[1]
            torch.testing.assert_close(other[:1, :width], one, rtol=1e-4, atol=1e-5)


def said(model, batch, head):
    """What a model says of each example, and where it looks for the start of an answer."""
    for name in ("labels", "start", "end", "impossible"):
        batch.pop(name, None)
    found = model(**batch)
    if head != "span":
        return (found.logits,)
    if hasattr(found, "answerable"):
        return found.start[:, :9], found.answerable
    return found.start[:, :9], found.start.gather(1, found.nowhere[:, None])


def test_no_answer_is_xlnets_last_token_and_the_first_of_others(tmp_path):
    for kind, wanted in (("xlnet", [7, 14]), ("bert", [0, 0])):
        folder = folder_of(kind, tmp_path / kind)
        tokenizer, hyper = read_tokenizer(folder, ()), Hyperparameters(max_length=30)
        pretrained = read_pretrained(folder, SPAN, tokenizer, hyper)
        model = ReusableModel(CPU).model(pretrained, hyper, 1)
        found = model(**prepared("span", tokenizer, hyper).collate([0, 1]))
        assert found.nowhere.tolist() == wanted
        assert found.gold["start"][1] == found.gold["end"][1] == wanted[1]
        assert found.gold["start"][0] not in (0, wanted[0])


def test_a_summary_of_all_tokens_leaves_padding_out():
    config = configuration("electra", num_labels=1, summary_type="mean")
    model = ARCHITECTURES["choose"].from_config(config, dtype=torch.float32).eval()
    attach_head(model, "choose")
    ids = torch.tensor([[[2, 9, 3], [2, 8, 3]]])
    wide = torch.nn.functional.pad(ids, (0, 4))
    with torch.inference_mode():
        short = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        long = model(input_ids=wide, attention_mask=(wide > 0).long()).logits
    torch.testing.assert_close(short, long)


def test_a_family_without_a_multiple_choice_head_chooses_with_its_classifier(tmp_path):
    """DeBERTa's own code for RACE: a score for each option's first token."""
    from transformers import DebertaForSequenceClassification

    folder = folder_of("deberta", tmp_path / "deberta")
    tokenizer, hyper = read_tokenizer(folder, ()), Hyperparameters(max_length=60)
    pretrained = read_pretrained(folder, CHOOSE, tokenizer, hyper)
    model = ReusableModel(CPU).model(pretrained, hyper, 1).eval()
    batch = prepared("choose", tokenizer, hyper).collate([0, 1])
    batch.pop("labels")
    weights = {name: torch.tensor(x) for name, x in pretrained.weights.items()}
    save_model(tmp_path / "best", pretrained, {n: x.numpy() for n, x in model.state_dict().items()})
    theirs = DebertaForSequenceClassification.from_pretrained(tmp_path / "best", num_labels=1)
    with torch.inference_mode():
        scores = model(**batch).logits
        flat = theirs.eval()(**{name: x.flatten(0, 1) for name, x in batch.items()}).logits
    assert scores.shape == (2, 2)
    torch.testing.assert_close(scores.flatten(), flat.flatten())
    assert weights
    again = read_pretrained(str(tmp_path / "best"), CHOOSE, tokenizer, hyper)
    assert {"classifier.weight", "classifier.bias"} <= again.weights.keys()


def unpadded():
    tokenizer = toy_tokenizer()
    tokenizer.pad_token = None
    return tokenizer


def unmarked():
    from tokenizers import processors

    tokenizer = toy_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A $B", special_tokens=[]
    )
    return tokenizer


def longer():
    tokenizer = toy_tokenizer()
    tokenizer.add_tokens(["new"])
    return tokenizer


@pytest.mark.slow
def test_what_a_model_cannot_read_is_refused_by_name_all_together(tmp_path):
    def problems(tokenizer, kind="bert", task="glue/rte", fixed=None, **settings):
        folder = folder_of(kind, tmp_path, tokenizer=tokenizer, **settings)
        asked = study.parse({"tasks": [task], "model": folder, "fixed": fixed or {}})
        return [(p.location, p.text) for p in suitability_problems(asked, [task])]

    assert problems(toy_tokenizer()) == []
    ((place, text),) = problems(unpadded())
    assert place == "model"
    assert "no padding token" in text
    assert str(tmp_path) in text
    ((_, text),) = problems(longer())
    assert "up to id 85, the model's embedding has 85 rows" in text
    found = problems(unmarked())
    assert any("no separator between two texts, which glue/rte needs" in text for _, text in found)
    ((place, text),) = problems(toy_tokenizer(), fixed={"max_length": 64})
    assert (place, "positions for 40 tokens, got 64" in text) == ("max_length", True)
    assert problems(toy_tokenizer(), fixed={"max_length": 40}) == []
    assert problems(toy_tokenizer(), "deberta", fixed={"max_length": 768}) == []
    ((_, text),) = problems(toy_tokenizer(), "roberta", type_vocab_size=1, pad_token_id=1)
    assert "pads with id 0, the model's positions begin behind its pad_token_id 1" in text
    ((_, text),) = problems(last_tokenizer())
    assert "token type 2, the model has 2" in text
    found = problems(longer(), "xlm", "xtreme/mlqa", fixed={"max_length": 64, "query_length": 16})
    assert [place for place, _ in found] == ["model", "max_length"]


@pytest.mark.parametrize(("kind", "head"), [("ctrl", "tag"), ("vit", "choose")])
def test_a_family_without_a_tasks_head_is_refused_by_name(kind, head):
    from transformers import AutoConfig

    with pytest.raises(InputError, match=f"family '{kind}'"):
        ARCHITECTURES[head][type(AutoConfig.for_model(kind))]


def test_a_tokenizer_that_a_model_cannot_read_is_refused_when_it_is_read(tmp_path):
    for tokenizer, text in ((unpadded(), "no padding token"), (longer(), "up to id 85")):
        folder = folder_of("bert", tmp_path, tokenizer=tokenizer)
        with pytest.raises(InputError, match=text):
            read_tokenizer(folder, ())


def test_a_model_from_scratch_is_asked_for_no_more_than_its_positions():
    for family, limit in POSITIONS.items():
        shape = scratch.scratch_config(f"scratch-{family}:1x64", toy_tokenizer())
        assert find_input_limits(shape).limit == limit
    asked = study.parse({"tasks": ["glue/rte"], "model": "scratch", "fixed": {"max_length": 513}})
    ((place, text),) = [(p.location, p.text) for p in preflight.survey(asked, None).problems]
    assert place == "max_length"
    assert "positions for 512 tokens, got 513" in text
    asked = study.parse({"tasks": ["glue/rte"], "model": "scratch", "fixed": {"max_length": 512}})
    assert preflight.survey(asked, None).problems == []


def test_check_tells_what_a_folder_cannot_be_trained_on(tmp_path):
    from typer.testing import CliRunner

    from raysearch.cli.commands import app

    folder = folder_of("bert", tmp_path / "bert", tokenizer=unpadded())
    path = tmp_path / "s.yaml"
    path.write_text(f"tasks: [glue/rte]\nmodel: {folder}\nfixed: {{max_length: 41}}\n")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 2
    assert "2 problems" in done.stderr
    assert "no padding token" in done.stderr
    assert "positions for 40 tokens, got 41" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_that_a_study_names_has_the_heads_of_its_tasks(path):
    from transformers import AutoConfig

    import raysearch.models.auto_registration  # noqa: F401

    shipped = study.load(path)
    rows = [(shipped.resolve(name).model, name) for name in shipped.tasks]
    rows += [(row.model, name) for row in shipped.published if row.model for name in row.results]
    for model, name in rows:
        if model.startswith("scratch"):
            continue
        family = next(FAMILY_OF_NAME[begin] for begin in FAMILY_OF_NAME if model.startswith(begin))
        ARCHITECTURES[tasks.get(name).head][type(AutoConfig.for_model(family))]
