"""Encoders of every architecture: read, restored, trained, saved, read again, or refused."""

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from support.toys import TOY_CONFIGS, toy_examples
from support.trials import STILL, toy_job

from raysearch import tasks
from raysearch.errors import InputError
from raysearch.models import ReusableModel, read_pretrained, save_model, scratch
from raysearch.models.auto_models import ARCHITECTURES
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.recipes import Hyperparameters
from raysearch.training import Trainer

RTE, MNLI, STSB = (tasks.get(f"glue/{name}") for name in ("rte", "mnli", "stsb"))
CPU = torch.device("cpu")
VOCABULARY = np.union1d(toy_examples().vocabulary(), toy_examples(40, seed=9).vocabulary())


def read_toy(folder, task=RTE):
    return read_pretrained(str(folder), task, read_tokenizer(str(folder), ()))


def outputs(model):
    """What a model says of a batch with padding."""
    batch = toy_examples().collate(range(20))
    batch.pop("labels")
    with torch.inference_mode():
        return model.eval()(**batch).logits.numpy()


def plain(pretrained):
    """The model as transformers builds and runs it, without our savings."""
    from transformers import AutoConfig

    torch.manual_seed(0)
    model = ARCHITECTURES[pretrained.head].from_config(AutoConfig.for_model(**pretrained.config))
    missing, unexpected = model.load_state_dict(
        {name: torch.from_numpy(x) for name, x in pretrained.weights.items()}, strict=False
    )
    assert not unexpected
    return model, missing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "head"),
    [(k, h) for k in TOY_CONFIGS for h in (None, "mlm") if (k, h) != ("amos", "mlm")],
)
def test_restoring_keeps_every_pretrained_weight_and_draws_the_rest(toy_folder, kind, head):
    pretrained, bench = read_toy(toy_folder(kind, head=head)), ReusableModel(CPU)
    first, again, other = (
        export_weights(bench.model(pretrained, Hyperparameters(), seed)) for seed in (1, 1, 2)
    )
    new = first.keys() - pretrained.weights.keys()
    assert any("classifier" in name for name in new)
    assert not any("layer" in name.lower() and "norm" not in name for name in new)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        if name in pretrained.weights:
            np.testing.assert_array_equal(first[name], pretrained.weights[name])
            np.testing.assert_array_equal(first[name], other[name])
        elif first[name].ndim > 1:
            assert not np.array_equal(first[name], other[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOY_CONFIGS)
@pytest.mark.parametrize("task", [RTE, STSB], ids=["classify", "regress"])
def test_a_trained_model_reads_back_to_the_same_outputs(toy_folder, tmp_path, kind, task):
    pretrained, job = read_toy(toy_folder(kind), task), toy_job(task.name, EPOCH=0.6, **STILL)
    model = ReusableModel(CPU).model(pretrained, job.hyper, 1, VOCABULARY)
    *_, last = Trainer(job, model)
    assert last.status in ("finished", "degenerate")
    save_model(tmp_path / "best", pretrained, export_weights(model))
    again = read_toy(tmp_path / "best", task)
    np.testing.assert_allclose(outputs(plain(again)[0]), outputs(model), rtol=1e-4, atol=1e-5)
    assert plain(again)[1] == []
    assert again.tokenizer.keys() == pretrained.tokenizer.keys()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOY_CONFIGS)
def test_the_savings_are_exact(toy_folder, kind):
    """Rows left out of the embedding, and tokens left out of the last layer, change nothing."""
    pretrained = read_toy(toy_folder(kind))
    job = toy_job(EPOCH=1, LR=1e-3, adam_eps=1e-4, decay_exclude=(), weight_decay=0.1, **STILL)
    trained = []
    for vocabulary in (None, VOCABULARY):
        model = ReusableModel(CPU).model(pretrained, job.hyper, 1, vocabulary)
        list(Trainer(job, model))
        trained.append(export_weights(model))
    theirs, missing = plain(pretrained)
    start = export_weights(ReusableModel(CPU).model(pretrained, job.hyper, 1))
    theirs.load_state_dict({name: torch.from_numpy(start[name]) for name in missing}, strict=False)
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    list(Trainer(job, theirs))
    trained.append(export_weights(theirs))
    whole, narrow, stock = trained
    assert whole.keys() == narrow.keys() == stock.keys()
    for name, array in stock.items():
        np.testing.assert_allclose(whole[name], array, rtol=1e-3, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(narrow[name], whole[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_the_embedding_holds_only_the_rows_that_the_data_can_reach(toy_folder):
    pretrained = read_toy(toy_folder("bert"))
    model = ReusableModel(CPU).model(pretrained, Hyperparameters(), 1, VOCABULARY)
    assert len(model.get_input_embeddings().weight) == len(VOCABULARY) + 1 < 40
    with pytest.raises(IndexError):
        model(input_ids=torch.tensor([[2, 80, 3]]))


def test_a_bench_builds_anew_only_for_another_model(toy_folder):
    pretrained, bench = read_toy(toy_folder("bert")), ReusableModel(CPU)
    model = bench.model(pretrained, Hyperparameters(), 1)
    assert bench.model(pretrained, Hyperparameters(LR=1, BSZ=4), 2) is model
    assert bench.model(pretrained, Hyperparameters(dropout=0.3), 2) is not model
    assert bench.model(pretrained, Hyperparameters(dropout=0.3), 2).bert.embeddings.dropout.p == 0.3


def test_a_seed_does_not_disturb_the_callers_random_numbers(toy_folder):
    pretrained, bench = read_toy(toy_folder("bert")), ReusableModel(CPU)
    torch.manual_seed(5)
    bench.model(pretrained, Hyperparameters(), 1)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


def test_weights_of_half_precision_are_read_as_float32(toy_folder):
    from safetensors.torch import load_file, save_file

    folder = toy_folder("bert")
    halves = {n: x.half() for n, x in load_file(folder / "model.safetensors").items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    pretrained = read_toy(folder)
    assert {array.dtype for array in pretrained.weights.values()} == {np.dtype(np.float32)}
    name = "bert.encoder.layer.0.output.dense.weight"
    expected = halves[name.removeprefix("bert.")].float().numpy()
    np.testing.assert_array_equal(pretrained.weights[name], expected)


def test_a_pickled_checkpoint_is_read_without_running_it(toy_folder, tmp_path):
    from safetensors.torch import load_file

    folder = toy_folder("bert")
    weights = load_file(folder / "model.safetensors")
    whole = read_toy(folder)
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert read_toy(folder).digest == whole.digest

    class ToyAttack:
        def __reduce__(self):
            return (shutil.copy, (str(folder / "config.json"), str(tmp_path / "run")))

    torch.save({"attack": ToyAttack()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot read"):
        read_toy(folder)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_head_of_another_task_is_not_kept_and_the_own_one_is(toy_folder, tmp_path):
    qnli, wnli = tasks.get("glue/qnli"), tasks.get("glue/wnli")
    pretrained = read_toy(toy_folder("roberta"), RTE)
    model = ReusableModel(CPU).model(pretrained, Hyperparameters(), 1)
    save_model(tmp_path / "rte", pretrained, export_weights(model))
    head = {"classifier.dense.weight", "classifier.out_proj.weight"}
    assert head <= read_toy(tmp_path / "rte", RTE).weights.keys()
    assert head <= read_toy(tmp_path / "rte", qnli).weights.keys()  # the same two labels
    for other in (wnli, MNLI, STSB):
        assert not head & read_toy(tmp_path / "rte", other).weights.keys()


def test_modernberts_pretrained_half_of_the_head_is_kept(toy_folder):
    weights = read_toy(toy_folder("modernbert", head="mlm")).weights
    assert "head.dense.weight" in weights
    assert "classifier.weight" not in weights


def test_identity_is_content_and_not_where_it_lies(toy_folder, tmp_path):
    folder = toy_folder("bert")
    first = read_toy(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    tokenizer = read_tokenizer(str(folder), ())
    tokenizer(["w1 w2"], truncation=True, max_length=3)  # sets a limit inside the tokenizer
    assert read_toy(tmp_path / "elsewhere").digest == first.digest
    assert read_pretrained(str(folder), RTE, tokenizer).digest == first.digest
    assert read_toy(folder, MNLI).digest != first.digest


@pytest.mark.parametrize(
    ("kind", "positions"), [("bert", 40), ("roberta", 39), ("xlm-roberta", 39)]
)
def test_a_tokenizer_keeps_within_the_models_positions(toy_folder, kind, positions):
    tokenizer = read_tokenizer(str(toy_folder(kind)), ())
    assert tokenizer.model_max_length == positions
    assert ("token_type_ids" in tokenizer.model_input_names) == (kind == "bert")


def spoil_config(folder):
    (folder / "config.json").write_text("{")


def spoil_kind(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "toy"}))


def spoil_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": "wide"}))


def spoil_weights(folder):
    (folder / "model.safetensors").write_bytes(b"garbage" * 9)


def cut_weights(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def drop_layer(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: x for name, x in weights.items() if "layer.1.output" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def grow_vocabulary(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 99}))


def spoil_tokenizer(folder):
    (folder / "tokenizer.json").write_text("[]")


@pytest.mark.parametrize(
    "spoil",
    [spoil_config, spoil_kind, spoil_shape, spoil_weights, cut_weights, drop_layer,
     grow_vocabulary, spoil_tokenizer],
)  # fmt: skip
def test_a_broken_folder_is_refused_by_name(toy_folder, spoil):
    folder = toy_folder("bert")
    spoil(folder)
    with pytest.raises(InputError) as refused:
        read_toy(folder)
    assert str(folder) in str(refused.value)
    assert all(problem.location == "model" for problem in refused.value.problems)


def test_saving_replaces_a_folder_whole(toy_folder, tmp_path):
    pretrained = read_toy(toy_folder("bert"))
    weights = export_weights(ReusableModel(CPU).model(pretrained, Hyperparameters(), 1))
    folder = tmp_path / "runs" / "best"
    for _ in range(2):
        save_model(folder, pretrained, weights)
    assert not [path for path in folder.parent.iterdir() if path != folder]
    with pytest.raises(SafetensorError):
        save_model(folder, pretrained, {"broken": None})
    assert read_toy(folder).weights.keys() == weights.keys()
    assert [path.name for path in folder.parent.iterdir()] == ["best"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scratch", "scratch-amos", "scratch-cross-thought"])
def test_a_tokenizer_from_scratch_is_always_the_same_one(name):
    """Of texts with many ties, and more letters than an alphabet takes."""
    letters = [chr(at) for at in range(0x400, 0x400 + 1500) if chr(at).isalpha()]
    texts = [f"{a}{b}{a} {b}a{a}, no-one's cat" for a, b in itertools.pairwise(letters)]
    first, *others = (scratch.train_tokenizer(f"{name}:2x64:1800", iter(texts)) for _ in range(4))
    assert len(first) > 1000
    for other in others:
        assert other.get_vocab() == first.get_vocab()
    said = first(texts[0])["input_ids"]
    assert first.decode(said, skip_special_tokens=True).split()[-1].endswith("cat")


def test_a_vocabulary_from_scratch_is_letters_and_their_most_frequent_merges():
    made = scratch.train_tokenizer("scratch:2x64:100", ["ab " * 50, "Abc " * 40, "zz " * 20])
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inside, letters, merges = ["##a", "##b", "##c", "##z"], list("abcz"), ["ab", "abc", "zz"]
    in_order = sorted(made.get_vocab(), key=made.get_vocab().get)
    assert in_order == [*special, *inside, *letters, *merges]
    assert made.tokenize("ABCz abc [MASK] ab-q") == [
        "abc", "##z", "abc", "[MASK]", "ab", "[UNK]", "[UNK]"
    ]  # fmt: skip
    assert set(made.all_special_tokens) == set(special)
