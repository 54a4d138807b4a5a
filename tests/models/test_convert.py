"""Checkpoints of fairseq become transformers folders that compute the same; what is no such
checkpoint, or not a whole one, is refused with everything that is wrong with it."""

import argparse
import enum
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import pytest
import torch
from support import amos_reference, fairseq_files
from support.fairseq_files import (
    INNER,
    LAYERS,
    WIDTH,
    amos,
    classification_head,
    cross_thought,
    layer,
    linear,
    norm,
    roberta,
    sentence_encoder,
    under,
)
from support.paths import SHARED
from torch import nn
from typer.testing import CliRunner

from raysearch.cli import app
from raysearch.errors import InputError
from raysearch.models import folder_writing
from raysearch.models.amos import vocabulary
from raysearch.models.convert import (
    bpe_merges,
    fairseq_checkpoint,
    target_model,
    tokenizer_files,
    weights,
)
from raysearch.models.convert.conversion import convert
from raysearch.models.convert.parameter_names import FAMILIES

DATA = SHARED / "data" / "tokenizers"
TEXT = "Anna's dog (a big one) ran; it barked, jumped & slept. Über naïve cafés: 12, 345!"
WORDS = "the dog ran and it barked at a big one while anna slept in the naïve café"
AMOS_PARTS = {
    "embed_tokens": "embeddings.word_embeddings",
    "embed_positions": "embeddings.position_embeddings",
    "emb_layer_norm": "embeddings.LayerNorm",
    "self_attn_layer_norm": "attention.LayerNorm",
    "self_attn": "attention.self_attn",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}


def answer_head():
    root = "classification_heads.question_answering_head"
    return linear(f"{root}.start_logits.dense", 1) | linear(f"{root}.end_logits.dense", 1)


def nested(state):
    """A checkpoint as fairseq's trainer writes it: with what only fairseq could unpickle."""
    module = types.ModuleType("fairseq")

    class Config(OrderedDict):
        """A mapping, as some are."""

    class Choice(enum.StrEnum):
        NONE = "none"

    class Meter:
        __slots__ = ("total",)

        def __init__(self, total):
            self.total = total

    class Items(list):
        """A list, as some are."""

    for kind in (Config, Choice, Meter, Items):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
        setattr(module, kind.__name__, kind)
    config = Config(model=argparse.Namespace(arch="amos_base", activation_fn="gelu"))
    config["parent"], config["ddp"] = config, Choice.NONE
    config["optional"], config["counts"] = Items([1, config]), defaultdict(list, {"a": [1]})
    return module, {
        "args": argparse.Namespace(arch="roberta_base", max_rel_pos=128, seed=1),
        "cfg": config,
        "model": OrderedDict(state),
        "extra_state": {"train_meters": {"loss": Meter(torch.ones(()).numpy()[()])}, "epoch": {3}},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.ones(3)}}},
    }


def saved(path, held, module=None, *, legacy=False):
    """Write a checkpoint; classes of `module` are gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if module:
        sys.modules[module.__name__] = module
    try:
        torch.save(held, path, _use_new_zipfile_serialization=not legacy)
    finally:
        sys.modules.pop(module and module.__name__, None)
    return path


# Tokenizers: small ones in every form, trained on a few words.


@pytest.fixture(scope="session")
def pieces(tmp_path_factory):
    """sp.model and dict.txt, and how many tokens that makes."""
    folder = tmp_path_factory.mktemp("pieces")
    return folder, fairseq_files.write_pieces(folder, [WORDS, TEXT])


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """vocab.json and merges.txt, and how many tokens that makes."""
    folder = tmp_path_factory.mktemp("pairs")
    return folder, fairseq_files.write_pairs(folder, [WORDS, TEXT])


def as_fairseq_files(source, folder):
    """The three files of fairseq's GPT-2 BPE that mean the same as vocab.json and merges.txt."""
    vocab = json.loads((source / "vocab.json").read_text())
    order = sorted(vocab, key=vocab.get)[4:-1]
    real = [token for token in order if not token.startswith("madeupword")]
    codes = {token: at for at, token in enumerate(sorted(real))}  # another order than the ids'
    lines = [f"{codes.get(token, token)} {at}" for at, token in enumerate(order)]
    folder.mkdir()
    (folder / "dict.txt").write_text("\n".join(lines) + "\n")
    (folder / "encoder.json").write_text(json.dumps(codes))
    (folder / "vocab.bpe").write_text((source / "merges.txt").read_text())
    return folder


def loaded(folder, auto="AutoModel"):
    import transformers

    return getattr(transformers, auto).from_pretrained(folder).eval()


def tokens(rows, count=11):
    return torch.randint(4, rows, (3, count), generator=torch.Generator().manual_seed(2))


def refused(path, folder, **options):
    """What the error says; and that nothing was written."""
    before = sorted(folder.parent.iterdir())
    with pytest.raises(InputError) as caught:
        convert(path, to=folder, **options)
    assert sorted(folder.parent.iterdir()) == before
    return str(caught.value)


# What is converted computes the same.


def reference(state, config, head=None):
    """transformers' RoBERTa with fairseq's tensors put in by hand."""
    import transformers

    kind = (
        transformers.RobertaForSequenceClassification if head else transformers.RobertaForMaskedLM
    )
    model = kind(transformers.RobertaConfig(**config, layer_norm_eps=1e-5, type_vocab_size=1))
    state = {re.sub(r"^(en|de)coder\.", "", name): x for name, x in state.items()}
    body, places = model.roberta, {"embed_tokens": "word_embeddings"}
    places |= {"embed_positions": "position_embeddings", "emb_layer_norm": "LayerNorm"}

    def put(module, name):
        for kind, parameter in module.named_parameters(recurse=False):
            parameter.data.copy_(state[f"{name}.{kind}"])

    for old, new in places.items():
        put(getattr(body.embeddings, new), f"sentence_encoder.{old}")
    body.embeddings.token_type_embeddings.weight.data.zero_()
    for at, block in enumerate(body.encoder.layer):
        root = f"sentence_encoder.layers.{at}"
        own = block.attention.self
        for part, module in zip("qkv", (own.query, own.key, own.value), strict=True):
            put(module, f"{root}.self_attn.{part}_proj")
        put(block.attention.output.dense, f"{root}.self_attn.out_proj")
        put(block.attention.output.LayerNorm, f"{root}.self_attn_layer_norm")
        put(block.intermediate.dense, f"{root}.fc1")
        put(block.output.dense, f"{root}.fc2")
        put(block.output.LayerNorm, f"{root}.final_layer_norm")
    if head:
        put(model.classifier.dense, f"classification_heads.{head}.dense")
        put(model.classifier.out_proj, f"classification_heads.{head}.out_proj")
    else:
        put(model.lm_head.dense, "lm_head.dense")
        put(model.lm_head.layer_norm, "lm_head.layer_norm")
        model.lm_head.bias.data.copy_(state["lm_head.bias"])
    return model.eval()


def shape(rows, positions=40):
    return {
        "vocab_size": rows, "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": WIDTH // 64, "intermediate_size": INNER,
        "max_position_embeddings": positions,
    }  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_a_roberta_with_everything_that_fairseq_saves_computes_the_same(tmp_path, pairs, legacy):
    folder, rows = pairs
    state = roberta(rows)
    module, held = nested(state | {"decoder.version": torch.ones(1)})
    path = saved(tmp_path / "in" / "model.pt", held, module, legacy=legacy)
    made = convert(path, to=tmp_path / "out", tokenizer=folder)
    ours, theirs = loaded(tmp_path / "out", "AutoModelForMaskedLM"), reference(state, shape(rows))
    ids = tokens(rows)
    mask = torch.ones_like(ids).index_fill(1, torch.tensor([9, 10]), 0)
    with torch.no_grad():
        assert torch.equal(
            ours(ids, attention_mask=mask).logits, theirs(ids, attention_mask=mask).logits
        )
    assert (made.family, made.model) == ("roberta", "RobertaForMaskedLM")
    assert made.head == ("lm_head", "masked", 5)
    assert made.dropped == {"bookkeeping": 1, "the output's copy of the word embeddings": 1}
    assert "argparse.Namespace" in made.skipped_globals
    assert "fairseq.Config" in made.skipped_globals


def test_a_roberta_with_a_classification_head_computes_the_same_and_drops_the_other(
    tmp_path, pairs
):
    folder, rows = pairs
    state = roberta(rows, prefix="encoder.") | classification_head("mnli", 3)
    path = saved(tmp_path / "in" / "model.pt", {"model": state})
    made = convert(path, to=tmp_path / "out", tokenizer=folder)
    ours = loaded(tmp_path / "out", "AutoModelForSequenceClassification")
    theirs, ids = reference(state, {**shape(rows), "num_labels": 3}, "mnli"), tokens(rows)
    with torch.no_grad():
        assert torch.equal(ours(ids).logits, theirs(ids).logits)
    assert ours.config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert made.dropped == {"the head lm_head": 6}


def test_older_names_of_roberta_are_the_same_model(tmp_path, pairs):
    folder, rows = pairs
    state, older = roberta(rows, prefix=""), {}
    for name, tensor in state.items():
        if ".q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            older[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
        elif not re.search(r"\.[kv]_proj\.", name):
            older[name.replace("emb_layer_norm", "layernorm_embedding")] = tensor
    convert(saved(tmp_path / "a.pt", state), to=tmp_path / "a", tokenizer=folder)
    convert(saved(tmp_path / "b.pt", older), to=tmp_path / "b", tokenizer=folder)
    one, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in "ab")
    assert one == other
    assert len(older) < len(state)


def test_half_precision_is_written_as_float32(tmp_path, pairs):
    folder, rows = pairs
    half = {name: tensor.half() for name, tensor in roberta(rows).items()}
    convert(saved(tmp_path / "a.pt", half), to=tmp_path / "out", tokenizer=folder)
    model = loaded(tmp_path / "out", "AutoModelForMaskedLM")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    own = half["decoder.sentence_encoder.layers.1.fc2.weight"].float()
    assert torch.equal(model.roberta.encoder.layer[1].output.dense.weight, own)


def test_xlm_r_has_robertas_tensors_and_its_own_tokenizer(tmp_path, pieces):
    folder, rows = pieces
    state = roberta(rows)
    path = saved(tmp_path / "model.pt", {"args": argparse.Namespace(), "model": state})
    made = convert(path, to=tmp_path / "out", tokenizer=folder, family="xlmr")
    ours, ids = loaded(tmp_path / "out", "AutoModelForMaskedLM"), tokens(rows)
    with torch.no_grad():
        assert torch.equal(ours(ids).logits, reference(state, shape(rows))(ids).logits)
    assert made.model == "XLMRobertaForMaskedLM"


def by_the_published_table(state, prefix="encoder."):
    """An AMOS checkpoint's tensors under the names of the Hugging Face folder."""
    return {
        re.sub(
            r"self_attn_layer_norm|final_layer_norm|emb\w+|self_attn|fc\d",
            lambda match: AMOS_PARTS[match[0]],
            name.removeprefix(f"{prefix}sentence_encoder.").replace("layers.", "encoder.layer."),
        ): tensor
        for name, tensor in state.items()
    }


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_an_amos_with_everything_that_fairseq_saves_computes_the_published_formulas(
    tmp_path, pieces, legacy, monkeypatch
):
    folder, rows = pieces
    state = amos(rows)
    module, held = nested(state)
    path = saved(tmp_path / "in" / "model.pt", held, module, legacy=legacy)
    made = convert(path, to=tmp_path / "out", tokenizer=folder)
    for name, value in shape(rows).items():
        monkeypatch.setitem(amos_reference.SHAPE, name, value)
    weights = {name: x.double() for name, x in by_the_published_table(state).items()}
    ids = tokens(rows)
    mask = torch.ones_like(ids).index_fill(1, torch.tensor([9, 10]), 0)
    with torch.no_grad():
        ours = loaded(tmp_path / "out").double()(ids, attention_mask=mask)[0]
        theirs = amos_reference.reference(weights, ids, mask)
    torch.testing.assert_close(ours[:, :9], theirs[:, :9], atol=1e-9, rtol=0)
    assert made.model == "AmosModel"


@pytest.mark.parametrize("prefix", ["encoder.", "decoder.", ""])
@pytest.mark.parametrize("place", ["flat", "under model"])
def test_every_tensor_of_amos_is_where_the_published_table_puts_it(tmp_path, pieces, prefix, place):
    folder, rows = pieces
    state = amos(rows, prefix=prefix)
    rest = {"auxiliary.sentence_encoder.layers.0.fc1.bias": torch.ones(3)}
    rest |= under("encoder.binary_head.", linear("out_proj", 1))
    held = state | rest if place == "flat" else {"args": None, "model": state | rest}
    made = convert(saved(tmp_path / "model.pt", held), to=tmp_path / "out", tokenizer=folder)
    found, expected = loaded(tmp_path / "out").state_dict(), by_the_published_table(state, prefix)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert made.family == "amos"
    assert (made.tensors, made.head) == (5 + 12 * LAYERS, None)
    assert made.parameters == sum(tensor.numel() for tensor in state.values())
    dropped = {"the generator of pre-training": 1, "the binary head of pre-training": 2}
    assert made.dropped == dropped


def test_coco_lm_is_told_by_its_heads_which_are_dropped(tmp_path, pieces):
    folder, rows = pieces
    state = amos(rows, bins=128)
    state |= under("encoder.", linear("seq_head.dense", WIDTH) | norm("seq_head.layer_norm"))
    state |= {"encoder.lm_head.bias": torch.ones(rows), "encoder.lm_head.weight": torch.ones(1)}
    made = convert(saved(tmp_path / "model.pt", state), to=tmp_path / "out", tokenizer=folder)
    config = loaded(tmp_path / "out").config
    assert made.family == "cocolm"
    assert (config.rel_pos_bins, config.max_rel_pos) == (128, 256)
    assert made.dropped == {"the contrastive head of pre-training": 4, "the head lm_head": 2}


def test_the_heads_of_amos_are_those_of_fairseq(tmp_path, pieces):
    folder, rows = pieces
    state, ids = amos(rows), tokens(rows)
    state |= classification_head("sentence_classification_head", 3) | answer_head()
    path = saved(tmp_path / "model.pt", state)
    assert "question_answering_head" in refused(path, tmp_path / "a", tokenizer=folder)
    for at, name in (("b", "sentence_classification_head"), ("c", "question_answering_head")):
        convert(path, to=tmp_path / at, tokenizer=folder, head=name)
    said = loaded(tmp_path / "b", "AutoModelForSequenceClassification")
    answers = loaded(tmp_path / "c", "AutoModelForQuestionAnswering")
    root = "classification_heads.sentence_classification_head"
    with torch.no_grad():
        hidden = answers.base_model(ids)[0]
        inner = nn.functional.linear(
            hidden[:, 0], state[f"{root}.dense.weight"], state[f"{root}.dense.bias"]
        )
        logits = nn.functional.linear(
            inner.tanh(), state[f"{root}.out_proj.weight"], state[f"{root}.out_proj.bias"]
        )
        torch.testing.assert_close(said(ids).logits, logits)
        for end, found in zip(("start", "end"), answers(ids)[:2], strict=True):
            root = f"classification_heads.question_answering_head.{end}_logits.dense"
            own = nn.functional.linear(hidden, state[f"{root}.weight"], state[f"{root}.bias"])
            torch.testing.assert_close(found, own[..., 0])
    assert (said.config.head_activation, said.config.head_init) == ("tanh", "default")


def test_a_head_of_amos_that_ranks_options_scores_each_of_them(tmp_path, pieces):
    folder, rows = pieces
    state = amos(rows) | classification_head("sentence_classification_head", 1)
    held = {"args": argparse.Namespace(criterion="sentence_ranking"), "model": state}
    made = convert(saved(tmp_path / "model.pt", held), to=tmp_path / "out", tokenizer=folder)
    assert made.model == "AmosForMultipleChoice"
    model, ids = loaded(tmp_path / "out", "AutoModelForMultipleChoice"), tokens(rows)
    root = "classification_heads.sentence_classification_head"
    with torch.no_grad():
        hidden = model.base_model(ids)[0][:, 0]
        inner = nn.functional.linear(
            hidden, state[f"{root}.dense.weight"], state[f"{root}.dense.bias"]
        )
        scores = nn.functional.linear(
            inner.tanh(), state[f"{root}.out_proj.weight"], state[f"{root}.out_proj.bias"]
        )
        torch.testing.assert_close(model(ids[None]).logits, scores.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["", "amos.", "cocolm."])
def test_a_folder_of_amos_own_transformers_code_is_the_same_encoder(tmp_path, pieces, prefix):
    folder, rows = pieces
    state = amos(rows)
    convert(saved(tmp_path / "a.pt", state), to=tmp_path / "a", tokenizer=folder)
    plain = loaded(tmp_path / "a").state_dict()
    source = tmp_path / "hub"
    held = under(prefix, plain) | {"embeddings.position_ids": torch.arange(40)}
    held |= linear("classifier.dense", WIDTH) | linear("classifier.out_proj", 2)
    saved(source / "pytorch_model.bin", held)
    (source / "config.json").write_text(json.dumps({"max_rel_pos": 100, "hidden_act": "gelu"}))
    for name in ("sp.model", "dict.txt"):
        (source / name).write_bytes((folder / name).read_bytes())
    convert(source, to=tmp_path / "b")
    ours = loaded(tmp_path / "b", "AutoModelForSequenceClassification")
    found = ours.base_model.state_dict()
    assert all(torch.equal(found[name], plain[name]) for name in plain)
    assert ours.config.max_rel_pos == 100
    assert (ours.config.head_activation, ours.config.head_init) == ("gelu", "normal")


def test_cross_thought_keeps_its_layers_across_sequences(tmp_path, pairs):
    folder, rows = pairs
    state = cross_thought(rows)
    made = convert(saved(tmp_path / "model.pt", state), to=tmp_path / "out", tokenizer=folder)
    model = loaded(tmp_path / "out", "AutoModelForMaskedLM")
    base = reference(state, shape(rows, 80)).roberta.state_dict()
    found = model.roberta.state_dict()
    assert {n for n in found if not n.startswith("cross.")} == base.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in base.items())
    for at in range(2):
        root = f"encoder.sentence_encoder.crossthought_layers.{at}"
        assert torch.equal(found[f"cross.{at}.attention.self.key.bias"],
                           state[f"{root}.self_attn.k_proj.bias"])  # fmt: skip
        assert torch.equal(found[f"cross.{at}.output.dense.weight"], state[f"{root}.fc2.weight"])
    assert (made.family, made.tensors) == ("cross-thought", 4 + 16 * (LAYERS + 2))
    assert model.config.cross_layers == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "size", "rows", "tensors", "parameters"),
    [
        ("amos", (768, 12), 64000, 149, 134_601_984),
        ("amos", (1024, 24), 64000, 293, 368_373_760),
        ("roberta", (768, 12), 50265, 196, 124_054_272),
        ("xlmr", (1024, 24), 250002, 388, 558_839_808),
        ("cross-thought", (768, 12), 50265, 228, 138_230_016),
    ],
)
def test_the_published_shapes_have_the_published_numbers(
    family, size, rows, tensors, parameters, monkeypatch
):
    (width, layers), here = size, fairseq_files
    for name, value in (("WIDTH", width), ("LAYERS", layers), ("INNER", 4 * width)):
        monkeypatch.setattr(here, name, value)
    for name in ("linear", "norm"):  # their defaults were bound with the small width
        monkeypatch.setattr(getattr(here, name), "__defaults__", (width,))
    with torch.device("meta"):
        if family == "amos":
            state = sentence_encoder(rows, 512, fused=True, layers=layers)
            bins = 64 if width == 768 else 128
            state["relative_attention_bias.weight"] = torch.empty(bins, width // 64)
        else:
            state = sentence_encoder(rows, 514, layers=layers)
            for at in range(2 if family == "cross-thought" else 0):
                state |= layer(f"crossthought_layers.{at}", fused=False)
    read = fairseq_checkpoint.Checkpoint(
        path=Path("model.pt"), tensors=state, settings={}, skipped_globals=()
    )
    source = weights.describe_checkpoint(read)
    model = target_model.empty_model(source.kind, None, weights.config_fields(source))
    assert source.family == family
    assert not weights.checkpoint_problems(source)
    assert not weights.shape_problems(source, target_model.parameter_shapes(model, None))
    assert len(source.encoder) == tensors
    assert sum(source.tensors[name].numel() for name in source.encoder) == parameters


@pytest.mark.slow
def test_a_converted_folder_loads_in_a_process_of_its_own(tmp_path, pieces, pairs):
    folder, rows = pieces
    convert(saved(tmp_path / "a.pt", amos(rows)), to=tmp_path / "a", tokenizer=folder)
    folder, rows = pairs
    convert(saved(tmp_path / "b.pt", cross_thought(rows)), to=tmp_path / "b", tokenizer=folder)
    program = """
import sys, raysearch, torch
from transformers import AutoModel, AutoTokenizer
for folder in sys.argv[1:]:
    model, words = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = words("the dog", return_tensors="pt")["input_ids"]
    print(type(model).__name__, ids[0, 0].item(), ids[0, -1].item(), list(model(ids)[0].shape))
"""
    found = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a", tmp_path / "b"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    first, second = found.stdout.splitlines()
    assert re.fullmatch(r"AmosModel 0 2 \[1, \d+, 128\]", first)
    assert second == "CrossThoughtModel 0 2 [1, 5, 128]"


# Tokenizers.


def test_every_form_of_robertas_tokenizer_gives_the_same_ids(tmp_path, pairs):
    from transformers import RobertaTokenizer

    folder, rows = pairs
    RobertaTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "whole")
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "whole" / name).unlink(missing_ok=True)
    forms = [folder, tmp_path / "whole", as_fairseq_files(folder, tmp_path / "fairseq")]
    made = [tokenizer_files.tokenizer("roberta", form, rows=rows, positions=38) for form in forms]
    once, *others = ([m(TEXT)["input_ids"], m("a dog", TEXT)["input_ids"]] for m in made)
    assert all(other == once for other in others)
    assert len(set(once[0])) > 20
    assert made[0].convert_tokens_to_ids(["<s>", "<mask>"]) == [0, rows - 1]
    assert {m.model_max_length for m in made} == {38}


@pytest.mark.parametrize("kind", ["roberta", "cross_thought"])
def test_a_written_tokenizer_keeps_the_layout_of_its_pairs(tmp_path, pairs, kind):
    from transformers import AutoTokenizer

    folder, rows = pairs
    state = roberta(rows) if kind == "roberta" else cross_thought(rows)
    convert(saved(tmp_path / "a.pt", state), to=tmp_path / "out", tokenizer=folder)
    words = AutoTokenizer.from_pretrained(tmp_path / "out")
    one, other = (words(text, add_special_tokens=False)["input_ids"] for text in ("the dog", "ran"))
    between = [2, 2] if kind == "roberta" else [2, 0]
    assert words("the dog", "ran")["input_ids"] == [0, *one, *between, *other, 2]
    assert words("the dog")["input_ids"] == [0, *one, 2]
    assert "token_type_ids" not in words("the dog", "ran")
    found = words("the dog", return_offsets_mapping=True)["offset_mapping"]
    assert found[-2][0] > 3  # a word without the space before it


def test_xlm_rs_pieces_are_numbered_by_the_lines_of_dict_txt(tmp_path, pieces):
    folder, rows = pieces
    made = tokenizer_files.tokenizer("xlm-roberta", folder, rows=rows, positions=38)
    lines = (folder / "dict.txt").read_text("utf-8").splitlines()
    assert made.convert_ids_to_tokens(4) == lines[0].split()[0]
    assert made.convert_tokens_to_ids("<mask>") == len(lines) + 4 == rows - 1
    other = tmp_path / "other"
    other.mkdir()
    (other / "sentencepiece.bpe.model").write_bytes((folder / "sp.model").read_bytes())
    (other / "dict.txt").write_text("\n".join([lines[1], lines[0], *lines[2:]]), "utf-8")
    with pytest.raises(InputError, match=r"id 4 is .* they must agree"):
        tokenizer_files.tokenizer("xlm-roberta", other, rows=rows, positions=38)


def test_a_tokenizer_of_another_size_is_refused_with_both_numbers(tmp_path, pairs, pieces):
    for (folder, rows), state in ((pairs, roberta), (pieces, amos)):
        path = saved(tmp_path / "model.pt", state(rows + 1))
        said = refused(path, tmp_path / "out", tokenizer=folder)
        assert f"{rows:,} tokens" in said
        assert f"{rows + 1:,} rows" in said


def test_without_a_tokenizer_it_is_said_what_would_do_and_where_it_was_looked_for(tmp_path, pairs):
    path = saved(tmp_path / "in" / "model.pt", roberta(pairs[1]))
    said = refused(path, tmp_path / "out")
    assert str(tmp_path / "in") in said
    assert "vocab.json with merges.txt" in said
    assert "dict.txt with encoder.json with vocab.bpe" in said
    path = saved(tmp_path / "in" / "model.pt", amos(50))
    assert "sp.model with dict.txt" in refused(path, tmp_path / "out", tokenizer=pairs[0])


def test_files_beside_the_checkpoint_need_no_naming(tmp_path, pieces):
    folder, rows = pieces
    path = saved(tmp_path / "in" / "model.pt", amos(rows))
    for name in ("sp.model", "dict.txt"):
        (path.parent / name).write_bytes((folder / name).read_bytes())
    assert convert(path, to=tmp_path / "out").vocabulary == rows


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sp.model", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("sp.model", b"\x0a\x0e\x0a", "sp.model"),
        ("dict.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    ],
)
def test_broken_files_of_a_tokenizer_are_refused(tmp_path, pieces, name, content, said):
    folder, rows = pieces
    path = saved(tmp_path / "in" / "model.pt", amos(rows))
    for own in ("sp.model", "dict.txt"):
        (path.parent / own).write_bytes((folder / own).read_bytes())
    (path.parent / name).write_bytes(content)
    assert said in refused(path, tmp_path / "out")


def test_a_dict_txt_with_broken_lines_names_them(tmp_path):
    (tmp_path / "dict.txt").write_text("one 3\ntwo\none 4\n<s> 1\n")
    with pytest.raises(InputError) as caught:
        tokenizer_files.symbols(tmp_path / "dict.txt")
    assert [problem.location for problem in caught.value.problems] == ["line 2", "line 3", "line 4"]
    (tmp_path / "dict.txt").write_text("one 3\n<mask> 1\n\n")
    assert tokenizer_files.symbols(tmp_path / "dict.txt")[4:] == ["one", "<mask>"]


def read_everywhere(folder, content, pieces):
    """What both readers make of a dict.txt: the tokens in the order of their ids, or the error."""
    results = []
    (folder / "dict.txt").write_bytes(content.encode())
    for read in (
        lambda: list(
            vocabulary.read_vocabulary(str(pieces / "sp.model"), str(folder / "dict.txt"), ".").ids
        ),
        lambda: tokenizer_files.symbols(folder / "dict.txt")[4:],
    ):
        try:
            results.append([token.replace("[MASK]", "<mask>") for token in read()])
        except InputError as error:
            results.append([problem.text for problem in error.problems])
    return results


def test_fairseqs_dict_txt_is_read_in_one_way(tmp_path, pieces):
    """The expectations are those of fairseq's own `Dictionary.add_from_file`."""
    folder, _ = pieces
    names = [line.split(" ")[0] for line in (folder / "dict.txt").read_text("utf-8").splitlines()]
    plain = [f"{name} 1" for name in names]
    whole = [*names, "<mask>"]
    cases = [
        ("".join(f"{name} -{n}\n" for n, name in enumerate(names)), whole),
        ("".join(f"{name} +1_0\n" for name in names), whole),
        ("\ufeff" + "\n".join(plain), whole),
        ("\r\n".join(plain) + "\r\n", whole),
        ("\n".join(plain) + "  \n\n\n", whole),
        ("\n".join([*plain, "two words 5", "a\u2028b 5"]),
         [*names, "two words", "a\u2028b", "<mask>"]),
        ("\n".join([*plain[:3], "<mask> 0", *plain[3:]]), [*names[:3], "<mask>", *names[3:]]),
        ("\n".join([*plain, f"{names[1]} 5 #fairseq:overwrite"]),
         [names[0], f"{names[1]} #fairseq:overwrite 5", *names[2:], names[1], "<mask>"]),
        ("\n".join([*plain, "new 5 #fairseq:overwrite"]), [*names, "new", "<mask>"]),
    ]  # fmt: skip
    for content, tokens in cases:
        assert read_everywhere(tmp_path, content, folder) == [tokens, tokens], content[:40]
    refusals = [
        ([*plain, f"{names[1]} 5"], f"{names[1]!r} again, which is line 2 already"),
        ([plain[0], "", *plain[1:]], "'' is not a piece, a space and its count"),
        ([*plain, "word"], "'word' is not a piece, a space and its count"),
        ([*plain, "word 1.5"], "'word 1.5' is not a piece, a space and its count"),
        ([*plain, "word #fairseq:overwrite"],
         "'word #fairseq:overwrite' is not a piece, a space and its count"),
        ([*plain, f"word {'9' * 5000}"], f"'word {'9' * 34}.. is not a piece"),
    ]  # fmt: skip
    for lines, said in refusals:
        results = read_everywhere(tmp_path, "\n".join(lines), folder)
        assert results[0] == results[1]
        assert len(results[0]) == 1
        assert results[0][0].startswith(said.partition("..")[0])


def test_pieces_without_a_line_are_told(tmp_path, pieces):
    folder, rows = pieces
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    lines = (folder / "dict.txt").read_text("utf-8").splitlines()
    (other / "dict.txt").write_text("\n".join(lines[:-3]), "utf-8")
    path = saved(tmp_path / "a.pt", amos(rows - 3))
    made = convert(path, to=tmp_path / "out", tokenizer=other)
    assert "unknown     3 pieces of sp.model have no line" in str(made)
    assert convert(saved(path, amos(rows)), to=tmp_path / "b", tokenizer=folder).unnumbered == 0


def test_half_a_file_of_merges_is_refused(tmp_path, pairs):
    """It would load, and cut every text otherwise than the model was trained on."""
    folder, rows = pairs
    fairseq = as_fairseq_files(folder, tmp_path / "fairseq")
    plain = Path(shutil.copytree(folder, tmp_path / "plain"))
    for form, name in ((fairseq, "vocab.bpe"), (plain, "merges.txt")):
        whole = (form / name).read_text("utf-8").splitlines()
        for kept in (whole[: len(whole) // 2], whole[:-1], whole[:1]):
            (form / name).write_text("\n".join(kept) + "\n", "utf-8")
            with pytest.raises(InputError, match=r"no merge makes [0-9]+ of the 301 tokens"):
                tokenizer_files.tokenizer("roberta", form, rows=rows, positions=38)
        (form / name).write_text("\n".join([whole[0], *whole[:0:-1]]) + "\n", "utf-8")
        with pytest.raises(InputError, match="is made later"):
            tokenizer_files.tokenizer("roberta", form, rows=rows, positions=38)
    (fairseq / "vocab.bpe").write_text("\n".join([*whole, "three", "words"]), "utf-8")
    with pytest.raises(InputError, match=r"vocab.bpe line [0-9]+ is no pair of tokens: 'three'"):
        tokenizer_files.tokenizer("roberta", fairseq, rows=rows, positions=38)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda codes: [codes], "no JSON object"),
        (lambda codes: None, "no JSON object"),
        (lambda codes: {token: str(code) for token, code in codes.items()}, "not a number"),
        (lambda codes: {token: float(code) for token, code in codes.items()}, "not a number"),
        (lambda codes: codes | {"a": True}, "not a number"),
        (lambda codes: codes | {"a": -1}, "not a number"),
        (lambda codes: codes | {"twice": codes["a"]}, "encoder.json has .* for 'a' and 'twice'"),
        (lambda codes: {n: c for n, c in codes.items() if n != "a"}, "has no token of number"),
    ],
)
def test_an_encoder_json_of_other_values_is_refused(tmp_path, pairs, change, said):
    folder, rows = pairs
    fairseq = as_fairseq_files(folder, tmp_path / "fairseq")
    codes = json.loads((fairseq / "encoder.json").read_text("utf-8"))
    (fairseq / "encoder.json").write_text(json.dumps(change(codes)), "utf-8")
    with pytest.raises(InputError, match=said):
        tokenizer_files.tokenizer("roberta", fairseq, rows=rows, positions=38)


def test_a_byte_without_a_token_is_refused(tmp_path, pairs):
    """The tokenizers package would leave it out of every text."""
    from tokenizers.pre_tokenizers import ByteLevel

    folder, rows = pairs
    assert bpe_merges.byte_symbols() == set(ByteLevel.alphabet())
    fairseq = as_fairseq_files(folder, tmp_path / "fairseq")
    lines = (fairseq / "dict.txt").read_text("utf-8").splitlines()
    codes = json.loads((fairseq / "encoder.json").read_text("utf-8"))
    lost = next(n for n, line in enumerate(lines) if line.split(" ")[0] == str(codes["ÿ"]))
    (fairseq / "dict.txt").write_text("\n".join(lines[:lost] + lines[lost + 1 :]), "utf-8")
    with pytest.raises(InputError, match="no token for 1 of the 256 bytes, the first 'ÿ'"):
        tokenizer_files.tokenizer("roberta", fairseq, rows=rows - 1, positions=38)


def test_pieces_and_lines_of_another_number_are_refused(tmp_path, pieces):
    folder, rows = pieces
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    lines = (folder / "dict.txt").read_text("utf-8").splitlines()
    (other / "dict.txt").write_text("\n".join(lines[:-2]), "utf-8")
    with pytest.raises(InputError, match="they must agree"):
        tokenizer_files.tokenizer("xlm-roberta", other, rows=rows, positions=38)
    (other / "dict.txt").write_text("\n".join([*lines, "<mask> 1", "x 1"]), "utf-8")
    with pytest.raises(InputError, match=f"{rows:,} tokens in .* and {rows + 1:,} in dict.txt"):
        tokenizer_files.tokenizer("xlm-roberta", other, rows=rows, positions=38)


@pytest.mark.slow
def test_the_published_vocabulary_of_roberta_comes_out_of_fairseqs_files(tmp_path):
    source = DATA / "roberta"
    if not source.is_dir():
        pytest.skip("needs the published files in shared/data/tokenizers/roberta")
    files = as_fairseq_files(source, tmp_path / "fairseq")
    made, own = (
        tokenizer_files.tokenizer("roberta", folder, rows=50265, positions=512)
        for folder in (files, source)
    )
    assert made.get_vocab() == own.get_vocab()
    assert made(TEXT)["input_ids"] == own(TEXT)["input_ids"]
    assert own("Hello world")["input_ids"] == [0, 31414, 232, 2]


@pytest.mark.slow
def test_published_pieces_are_those_of_sentencepiece(tmp_path):
    import sentencepiece

    source = DATA / "kosmos2_fairseq"
    if not source.is_dir():
        pytest.skip("needs the published files in shared/data/tokenizers/kosmos2_fairseq")
    made = tokenizer_files.tokenizer("xlm-roberta", source, rows=64002, positions=512)
    model = sentencepiece.SentencePieceProcessor(model_file=str(source / "sentencepiece.bpe.model"))
    assert made.tokenize(TEXT) == model.encode_as_pieces(TEXT)
    assert made(TEXT)["input_ids"][1:-1] == [at + 1 for at in model.encode(TEXT)]


# What is refused, and that it runs nothing.


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *given):
        self.function, self.given = function, given

    def __reduce__(self):
        return self.function, self.given

    def __call__(self):
        """What is called must look as if it could be."""


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("function", ["system", "exec", "eval", "getattr", "run"])
def test_nothing_in_a_checkpoint_is_run(tmp_path, pieces, function, legacy):
    folder, rows = pieces
    proof = tmp_path / "proof"
    call = {
        "system": Call(os.system, f"touch {proof}"),
        "exec": Call(exec, f"open({str(proof)!r}, 'w')"),
        "eval": Call(eval, f"open({str(proof)!r}, 'w')"),
        "getattr": Call(Call(getattr, Path(proof), "touch")),
        "run": Call(subprocess.run, ["touch", str(proof)]),
    }[function]
    held = {"model": amos(rows), "args": call}
    path = saved(tmp_path / "model.pt", held, legacy=legacy)
    if function in ("system", "getattr"):
        assert function in refused(path, tmp_path / "out", tokenizer=folder)
    else:
        assert function in str(convert(path, to=tmp_path / "out", tokenizer=folder))
    assert not proof.exists()
    pickle.loads(pickle.dumps(call))
    assert proof.exists(), "it would have run"


def broken(state):
    """Three faults: a tensor less, one more, and one of another shape."""
    state = dict(state)
    del state["encoder.sentence_encoder.layers.1.fc1.bias"]
    state["encoder.sentence_encoder.layers.0.adapter.weight"] = torch.ones(2)
    state["encoder.sentence_encoder.layers.0.fc2.bias"] = torch.ones(2)
    return state


def test_missing_unexpected_and_misshapen_tensors_are_named_together(tmp_path, pieces):
    folder, rows = pieces
    path = saved(tmp_path / "model.pt", broken(amos(rows)))
    said = refused(path, tmp_path / "out", tokenizer=folder)
    assert "3 problems" in said
    assert re.search(r"missing +1 tensor\n +layers\.1\.fc1\.bias\n", said)
    assert re.search(r"unexpected +1 tensor\n +encoder.*layers\.0\.adapter\.weight\n", said)
    assert re.search(rf"misshapen +1 tensor\n +encoder.*fc2\.bias \[2\], not \[{WIDTH}\]$", said)


@pytest.mark.parametrize("gone", ["embed_tokens.weight", "embed_positions.weight", "layers.0."])
def test_whatever_tensor_is_missing_its_name_is_told(tmp_path, pieces, gone):
    state = {name: x for name, x in amos(pieces[1]).items() if gone not in name}
    said = refused(saved(tmp_path / "a.pt", state), tmp_path / "out", tokenizer=pieces[0])
    assert f"{gone}in_proj" in said or gone in said


@pytest.mark.parametrize("name", ["embed_tokens.weight", "layers.0.fc1.weight"])
@pytest.mark.parametrize("tensor", [torch.tensor(1.0), torch.ones(3), torch.ones(2, 3, 4)])
def test_a_tensor_of_any_shape_is_no_traceback(tmp_path, pieces, name, tensor):
    state = amos(pieces[1]) | {f"encoder.sentence_encoder.{name}": tensor}
    said = refused(saved(tmp_path / "a.pt", state), tmp_path / "out", tokenizer=pieces[0])
    assert name in said


def test_many_names_are_shortened(tmp_path, pieces):
    state = amos(pieces[1]) | {f"strange.{at}": torch.ones(1) for at in range(40)}
    said = refused(saved(tmp_path / "a.pt", state), tmp_path / "out", tokenizer=pieces[0])
    assert "40 tensors" in said
    assert ".. and 28 more" in said


def test_what_would_change_the_results_in_silence_is_refused(tmp_path, pairs):
    folder, rows = pairs
    state = roberta(rows)
    args = argparse.Namespace(activation_fn="relu")
    path = saved(tmp_path / "a.pt", {"args": args, "model": state})
    said = refused(path, tmp_path / "out", tokenizer=folder)
    assert "activation_fn  is 'relu'; only 'gelu'" in said
    path = saved(tmp_path / "a.pt", state | {"decoder.lm_head.weight": torch.randn(rows, WIDTH)})
    assert "an output of its own" in refused(path, tmp_path / "out", tokenizer=folder)
    whole = state | {"encoder.sentence_encoder.emb_layer_norm.bias": torch.ones(WIDTH)}
    path = saved(tmp_path / "a.pt", whole)
    assert "one parameter twice" in refused(path, tmp_path / "out", tokenizer=folder)
    packed = {name: (x * 9).to(torch.int8) for name, x in state.items()}
    path = saved(tmp_path / "a.pt", packed)
    assert "not dense floating-point" in refused(path, tmp_path / "out", tokenizer=folder)


def test_a_shape_that_no_model_can_have_is_refused(tmp_path, pairs):
    folder, rows = pairs
    state = roberta(rows)
    few = cross_thought(rows) | {
        "encoder.sentence_encoder.embed_positions.weight": torch.ones(40, WIDTH)
    }
    one = {name: x for name, x in cross_thought(rows).items() if "layers.1" not in name}
    cases = [(few, {}, "max_position_embeddings is 40"), (one, {}, "cross_layers is 1")]
    cases += [
        (state, {"encoder_attention_heads": count}, f"encoder_attention_heads is {count!r}, not")
        for count in (0, "many", 129, True, 2.0, 10**40)
    ]
    cases += [(state, {"encoder_attention_heads": 7}, "7 attention heads, which do not divide")]
    for tensors, args, said in cases:
        held = {"args": argparse.Namespace(**args), "model": tensors}
        path = saved(tmp_path / "a.pt", held)
        assert re.search(f"shape .*{said}", refused(path, tmp_path / "out", tokenizer=folder))


def test_attention_heads_are_those_of_the_arguments(tmp_path, pairs):
    folder, rows = pairs
    cfg = {"model": argparse.Namespace(encoder_attention_heads=8), "task": None}
    for held, heads in (({}, 2), ({"cfg": cfg}, 8)):
        path = saved(tmp_path / "a.pt", {**held, "model": roberta(rows)})
        convert(path, to=tmp_path / str(heads), tokenizer=folder)
        assert loaded(tmp_path / str(heads)).config.num_attention_heads == heads


# Limits: what asks for more than is there, and what is there and is no model.

BODY = "encoder.sentence_encoder."


def without_heads(state):
    return {name: x for name, x in state.items() if "lm_head" not in name}


def altered(name, tensor):
    """A way to put another tensor in a RoBERTa's place."""
    return lambda state: state | {BODY + name: tensor}


def filled(value):
    return lambda state: {name: torch.full_like(x, value) for name, x in state.items()}


def expanded(state):
    """Every tensor 2**14 times as wide as it is, of a single stored number."""
    wide = [[2**14 * n for n in x.shape] for x in state.values()]
    return {n: torch.zeros(1).expand(shape) for n, shape in zip(state, wide, strict=True)}


def sharing(state):
    """Every matrix of each layer is the same view of one storage, which is written once."""
    one = torch.randn(WIDTH, WIDTH)
    square = {name for name, x in state.items() if x.shape == one.shape}
    return {name: one if name in square else x for name, x in state.items()}


WIDE = torch.full((INNER, WIDTH), 1e300, dtype=torch.float64)
FAULTS = {
    "NaN": (altered("layers.0.fc1.bias", torch.full((INNER,), torch.nan)),
            r"not finite +1 tensor\n +.*layers.0.fc1.bias \[96\]: 96 values NaN or infinite"),
    "infinity everywhere": (filled(torch.inf), "not finite +36 tensors"),
    "beyond float32": (altered("layers.0.fc1.weight", WIDE),
                       "12,288 values beyond float32, torch.float64"),
    "integers": (altered("layers.0.fc1.weight", torch.ones(INNER, WIDTH, dtype=torch.int64)),
                 "fc1.weight of torch.int64, not dense"),
    "sparse": (altered("layers.0.fc1.weight", torch.ones(INNER, WIDTH).to_sparse()),
               "fc1.weight .*not dense"),
    "no values": (altered("layers.0.fc1.weight", torch.ones(INNER, WIDTH, device="meta")),
                  "fc1.weight .* without values, on the device meta"),
    "no rows": (altered("layers.0.fc1.weight", torch.ones(0, WIDTH)), r"empty +1 tensor\n.*fc1"),
    "few words": (altered("embed_tokens.weight", torch.ones(4, WIDTH)), "4 words of 128 numbers"),
    "few positions": (altered("embed_positions.weight", torch.ones(4, WIDTH)), "and 4 positions"),
    "no classes": (lambda state: state | {
        f"classification_heads.x.{name}": x for name, x in {
            "dense.weight": torch.ones(WIDTH, WIDTH), "dense.bias": torch.ones(WIDTH),
            "out_proj.weight": torch.ones(0, WIDTH), "out_proj.bias": torch.ones(0)}.items()},
        r"empty +2 tensors\n.*classification_heads.x.out_proj.weight"),
    "a number without a name": (lambda state: state | {3: torch.ones(1)}, "is no text: 3"),
    "layer 1,000,000,000": (altered("layers.1000000000.fc1.weight", torch.ones(1)),
                            r"unexpected +1 tensor\n.*layers.1000000000.fc1.weight"),
    "layer 9..9": (altered(f"layers.{'9' * 5000}.fc1.weight", torch.ones(1)),
                   "unexpected +1 tensor"),
    "strides of 0": (expanded, r"too large +36 tensors\n +.*embed_tokens.weight \[.*asks for"),
    "one storage for all": (sharing, "too large .*they share storage"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_model_can_hold_is_refused_by_name(tmp_path, pairs, fault, legacy):
    if legacy and fault == "no values":
        pytest.skip("the old format has no tensors without values")
    folder, rows = pairs
    change, said = FAULTS[fault]
    state = change(without_heads(roberta(rows, prefix="encoder.")))
    path = saved(tmp_path / "a.pt", {"model": state}, legacy=legacy)
    assert re.search(said, refused(path, tmp_path / "out", tokenizer=folder))


@pytest.mark.parametrize("value", [torch.inf, torch.nan, "abc", 0, -1, True, 1e30, 10**40, 1.5, 17])
def test_a_largest_distance_that_no_model_has_is_refused(tmp_path, pieces, value):
    folder, rows = pieces
    held = {"args": argparse.Namespace(max_rel_pos=value), "model": amos(rows)}
    said = refused(saved(tmp_path / "a.pt", held), tmp_path / "out", tokenizer=folder)
    assert re.search(f"shape .*max_rel_pos is {re.escape(repr(value))}, not", said)


def test_a_width_that_heads_of_64_do_not_divide_needs_their_number(tmp_path, pairs, monkeypatch):
    for name in ("linear", "norm"):
        monkeypatch.setattr(getattr(fairseq_files, name), "__defaults__", (96,))
    monkeypatch.setattr(fairseq_files, "WIDTH", 96)
    folder, rows = pairs
    state = without_heads(roberta(rows, prefix="encoder."))
    said = refused(saved(tmp_path / "a.pt", state), tmp_path / "out", tokenizer=folder)
    assert "no encoder_attention_heads in the arguments" in said
    held = {"args": argparse.Namespace(encoder_attention_heads=3), "model": state}
    convert(saved(tmp_path / "a.pt", held), to=tmp_path / "out", tokenizer=folder)
    assert loaded(tmp_path / "out").config.num_attention_heads == 3


def test_what_is_no_regular_file_is_refused_unread(tmp_path, pieces):
    folder, rows = pieces
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, said in (("pipe", "no regular file"), ("nowhere", "no such file"),
                       ("loop", "no such file"), ("folder", "no pytorch_model.bin")):  # fmt: skip
        assert said in refused(tmp_path / name, tmp_path / "out")
    assert "no regular file" in refused(Path("/dev/zero"), tmp_path / "out")
    hub = tmp_path / "hub"
    saved(hub / "pytorch_model.bin", amos(rows))
    os.mkfifo(hub / "config.json")
    assert "no file of at most" in refused(hub, tmp_path / "out", tokenizer=folder)
    path = saved(tmp_path / "model.pt", amos(rows))
    with pytest.raises(InputError, match="is there already"):  # a link is nobody's to write to
        convert(path, to=tmp_path / "nowhere", tokenizer=folder)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("content", ["[]", "null", "[" * 100_000, "{", '{"a": ' * 9])
def test_a_config_json_of_another_kind_is_refused(tmp_path, pieces, content):
    folder, rows = pieces
    saved(tmp_path / "hub" / "pytorch_model.bin", amos(rows))
    (tmp_path / "hub" / "config.json").write_text(content)
    assert "not" in refused(tmp_path / "hub", tmp_path / "out", tokenizer=folder)


def zipped(path, data, *, method=zipfile.ZIP_STORED, names=("archive/data.pkl",)):
    """An archive as torch writes it, around any pickle."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
        archive.writestr("archive/version", "3\n")
    return path


PICKLES = {
    "a memo of 2**31 entries": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a text of 4 GB": b"\x80\x02X\xff\xff\xff\x7f.",
    "200,000 tuples in each other": b"\x80\x02}" + b"(" * 200_000 + b"t" * 200_000 + b"Ns.",
    "a tuple of 2**60 parts": b"\x80\x02})" + b"2\x86" * 60 + b"Ns.",
    "a tuple of 2**60 parts, by memo": b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns.",
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "a call with a duplicate": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "an operation of torch": b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.",
    "another protocol": pickle.dumps({"model": {}}, 4),
    "nothing": b"",
}


@pytest.mark.slow
@pytest.mark.parametrize("content", PICKLES)
def test_a_pickle_that_asks_for_too_much_is_refused_at_once(tmp_path, content):
    path = zipped(tmp_path / "a.pt", PICKLES[content])
    assert "checkpoint" in refused(path, tmp_path / "out")


def test_an_archive_that_torch_never_writes_is_refused(tmp_path):
    plain = pickle.dumps({"model": {}}, 2)
    bomb = zipped(tmp_path / "a.pt", b"\0" * 10**7, method=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(bomb, tmp_path / "out")
    two = zipped(tmp_path / "a.pt", plain, names=("archive/data.pkl", "b/data.pkl"))
    assert "data.pkl" in refused(two, tmp_path / "out")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("count", [WIDTH + 1, 10**12])
def test_a_storage_larger_than_its_file_is_refused_unread(tmp_path, pieces, legacy, count):
    """In the old format it would be allocated before it is read."""
    path = saved(tmp_path / "a.pt", {"x": torch.ones(WIDTH)}, legacy=legacy)
    content = path.read_bytes()
    number = b"K\x80"  # 128, of the storage and of the shape
    long = b"\x8a\x08" + count.to_bytes(8, "little")
    if legacy:
        path.write_bytes(content.replace(number, long, 1))
    else:
        with zipfile.ZipFile(path) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in records.items():
                archive.writestr(name, data.replace(number, long, 1))
    said = refused(path, tmp_path / "out", tokenizer=pieces[0])
    known = rf"storage .* of {count:,} elements has [0-9,]+ bytes"
    if legacy and count < path.stat().st_size:  # torch itself compares it with what follows
        known = "not a whole checkpoint"
    assert re.search(known, said)


def test_everything_that_was_set_aside_is_listed_torchs_own_too(tmp_path, pieces):
    folder, rows = pieces
    args = [Call(torch.load, "/etc/passwd"), Call(torch.hub.load, "x"), Call(eval, "1")]
    args += [torch.float16, torch.Size([1]), torch.ones(1), OrderedDict(), {1}]
    path = saved(tmp_path / "a.pt", {"args": args, "model": amos(rows)})
    made = convert(path, to=tmp_path / "out", tokenizer=folder)
    assert made.skipped_globals == ("builtins.eval", "torch.hub.load", "torch.serialization.load")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_truncated_checkpoint_is_refused(tmp_path, pieces, legacy, kept):
    path = saved(tmp_path / "model.pt", amos(pieces[1]), legacy=legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "not a whole checkpoint" in refused(path, tmp_path / "out", tokenizer=pieces[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 1\n", "git lfs pull"),
        (b"\x1f\x8b\x08\x00some archive", "unpack it"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"just a text\n" * 9, "not a whole checkpoint"),
        (pickle.dumps([1, 2, 3]), "not a whole checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_what_it_is(tmp_path, content, said):
    (tmp_path / "model.pt").write_bytes(content)
    assert said in refused(tmp_path / "model.pt", tmp_path / "out")


def test_other_objects_and_folders_are_refused(tmp_path, pairs, toy_folder):
    for held in ([torch.ones(2)], {"model": 3}, {"model": {}}, torch.ones(3)):
        said = refused(saved(tmp_path / "a.pt", held), tmp_path / "out")
        assert "no parameters" in said
    assert "no such file" in refused(tmp_path / "nothing.pt", tmp_path / "out")
    assert "no pytorch_model.bin" in refused(pairs[0], tmp_path / "out")
    folder = toy_folder("roberta")
    torch.save(loaded(folder).state_dict(), folder / "pytorch_model.bin")
    assert "already" in refused(folder, tmp_path / "out")


def test_a_folder_in_use_and_unknown_names_are_refused(tmp_path, pieces):
    folder, rows = pieces
    path = saved(tmp_path / "model.pt", amos(rows))
    said = refused(path, tmp_path / "out", tokenizer=folder, family="roberto")
    assert "did you mean 'roberta'?" in said
    assert "no head" in refused(path, tmp_path / "out", tokenizer=folder, head="mnli")
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        convert(path, to=full, tokenizer=folder)
    assert [file.name for file in full.iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    assert convert(path, to=tmp_path / "empty", tokenizer=folder).files


def test_the_wrong_family_is_refused_with_the_names(tmp_path, pieces):
    path = saved(tmp_path / "model.pt", amos(pieces[1]))
    for family in set(FAMILIES) - {"amos", "cocolm"}:
        said = refused(path, tmp_path / "out", tokenizer=pieces[0], family=family)
        assert "relative_attention_bias" in said


def test_a_full_disk_leaves_nothing_behind(tmp_path, pieces, monkeypatch):
    folder, rows = pieces
    path = saved(tmp_path / "model.pt", amos(rows))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_writing, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        convert(path, to=tmp_path / "out", tokenizer=folder)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_the_summary_says_what_became_of_every_tensor(tmp_path, pieces):
    folder, rows = pieces
    state = amos(rows) | classification_head("sentence_classification_head", 3)
    state |= under("encoder.binary_head.", linear("out_proj", 1))
    held = {"args": argparse.Namespace(seed=1), "model": state}
    made = convert(saved(tmp_path / "a.pt", held), to=tmp_path / "out", tokenizer=folder)
    said = str(made).splitlines()
    values = sum(tensor.numel() for name, tensor in state.items() if "sentence_encoder" in name)
    assert said[:7] == [
        "family      amos",
        "model       AmosForSequenceClassification",
        f"encoder     {5 + 12 * LAYERS} tensors, {values:,} parameters",
        "head        sentence_classification_head (classify), 4 tensors",
        f"vocabulary  {rows:,} tokens",
        "dropped     the binary head of pre-training: 2 tensors",
        "pickled     argparse.Namespace: never run, left out",
    ]
    assert {line.split()[0] for line in said[7:]} == {"written"}
    command = [
        "convert",
        str(tmp_path / "a.pt"),
        "--to",
        str(tmp_path / "b"),
        "--tokenizer",
        folder,
    ]
    printed = CliRunner().invoke(app, list(map(str, command))).stdout.splitlines()
    assert printed[:7] == said[:7]
    assert len(printed) == len(said)
    assert {path.name for path in made.files} >= {"config.json", "model.safetensors"}
