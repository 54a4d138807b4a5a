"""What holds for every family of encoders that raysearch has or a shipped study names. All toys.

Each head that a family has is built, saved and read again in all the ways that the product uses,
gives outputs of the shape that its task needs, and does not read padding.
"""

from pathlib import Path

import pytest
import torch
from support.families import FAMILIES, FAMILY_OF_NAME, OPTIONS, token_batch
from support.toys import toy_tokenizer
from support.waits import Waits
from transformers import AutoConfig, AutoModel

from raysearch.data.device_batches import MASK, PADDED
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import ReusableModel, auto_registration, read_pretrained, save_model, scratch
from raysearch.models.attention_masks import tell_padding
from raysearch.models.auto_models import ARCHITECTURES, attach_head, build_model
from raysearch.models.finetuned import load_finetuned
from raysearch.models.pretrained import read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.recipes import Hyperparameters
from raysearch.recipes.consistency_losses import MASKED_SCORE
from raysearch.study import model_names
from raysearch.tasks import Task, get

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
CONTRACT = sorted(
    {*FAMILY_OF_NAME.values(), *(config.model_type for config in auto_registration.FAMILIES)}
)
LABELS = ("one", "two", "three")
# Those of the toy tokenizer, which is saved beside each model.
SPECIAL_TOKENS = {"pad_token_id": 0, "bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3}


def task(head: str, **fields: object) -> Task:
    """Return a toy task of a head."""
    inputs = {"choose": ("passage", "question", "options"), "tag": ("words",),
              "span": ("question", "context"),
              "cloze": ("passage", "query", "entities")}.get(head, ("one", "two"))  # fmt: skip
    facts = {"name": f"toy/{head}", "head": head, "inputs": inputs, "metric": "accuracy",
             "folder": "", "train": None, **fields}  # fmt: skip
    return Task(**facts)


TASKS = {
    "classify": task("classify", labels=LABELS),
    "regress": task("regress", bounds=(0.0, 5.0)),
    "choose": task("choose"),
    "tag": task("tag", labels=("O", "B-X", "I-X")),
    "span": task("span", unanswerable=True),
    "cloze": task("cloze"),
    "thought": get("text/lines"),
}
# The variants of heads: the hyperparameters that select them.
VARIANTS = [
    ("classify", {}), ("regress", {}), ("choose", {}), ("tag", {}), ("tag", {"pooling": "sum"}),
    ("span", {}), ("span", {"span_head": "conditional"}), ("cloze", {}), ("thought", {}),
]  # fmt: skip
# Cross-Thought encodes sentences; of all families it alone is pre-trained here.
OF_CROSS_THOUGHT = ("classify", "regress", "choose", "cloze", "thought")
CASES = [
    pytest.param(kind, head, settings, id="-".join((kind, head, *settings.values())))
    for kind in CONTRACT
    for head, settings in VARIANTS
    if (head in OF_CROSS_THOUGHT if kind == "cross_thought" else head != "thought")
]
each_head = pytest.mark.parametrize(("kind", "head", "settings"), CASES)


def configuration(kind: str, head: str, settings: dict[str, str]) -> AutoConfig:
    """Return a tiny configuration of a family with a task's labels and the variant of its head."""
    labels = TASKS[head].labels
    sizes = {
        **FAMILIES[kind],
        **SPECIAL_TOKENS,
        "vocab_size": 90,
        "num_labels": TASKS[head].outputs,
    }
    if head == "regress":
        sizes["problem_type"] = "regression"
    if labels:
        sizes |= {"id2label": dict(enumerate(labels)),
                  "label2id": {label: index for index, label in enumerate(labels)}}  # fmt: skip
    config = AutoConfig.for_model(kind, **sizes)
    config.raysearch = HEADS[head].variant(Hyperparameters(**settings)) or None
    return config


def built(kind: str, head: str, settings: dict[str, str]) -> torch.nn.Module:
    """Return a model with a head in evaluation mode, in which every number is random."""
    config = configuration(kind, head, settings)
    torch.manual_seed(3)
    model = build_model(config.to_dict(), head).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        if kind == "mobilebert":  # the padding's row is 0 as drawn, see the last test on padding
            model.get_input_embeddings().weight[config.pad_token_id] = 0
    return model


def outputs(model: torch.nn.Module, head: str, **sizes: object) -> dict[str, torch.Tensor]:
    """Return what a model gives for a batch of two examples, of 16 and of 11 tokens."""
    lengths = sizes.pop("lengths", (16, 11))
    with torch.inference_mode():
        values = model(**token_batch(model.config, head, lengths, **sizes))
    names = ("start", "end", "answerable") if head == "span" else ("logits",)
    return {
        name: getattr(values, name) for name in names if getattr(values, name, None) is not None
    }


def assert_equal(model: torch.nn.Module, other: torch.nn.Module, head: str) -> None:
    """Compare the outputs of two models."""
    ours, theirs = outputs(model, head), outputs(other.eval(), head)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert_close(theirs[name], value, name)


def assert_close(actual: torch.Tensor, expected: torch.Tensor, name: str) -> None:
    """Compare scores, of which the highest set the scale: MobileBERT's are in the millions."""
    scores = expected[expected > MASKED_SCORE / 2]
    scale = max(1.0, scores.abs().max().item())
    torch.testing.assert_close(actual / scale, expected / scale, rtol=1e-5, atol=1e-5, msg=name)


def saved(model: torch.nn.Module, folder: Path) -> str:
    """Save a model as a transformers folder with a tokenizer, and return its name."""
    model.save_pretrained(folder)
    toy_tokenizer().save_pretrained(folder)
    return str(folder)


def test_every_family_of_ours_and_of_the_shipped_studies_is_in_this_suite() -> None:
    assert {"amos", "cross_thought", "bert", "roberta", "albert", "electra", "mobilebert",
            "xlm-roberta"} <= set(CONTRACT)  # fmt: skip
    assert set(CONTRACT) <= set(FAMILIES)
    assert {head for head, _ in VARIANTS} == set(HEADS) == set(TASKS)


@each_head
def test_a_head_gives_the_outputs_that_its_task_needs(
    kind: str, head: str, settings: dict[str, str]
) -> None:
    model = built(kind, head, settings)
    values = outputs(model, head)
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    conditional = settings.get("span_head") == "conditional"
    assert shapes == {
        "classify": {"logits": (2, 3)},
        "regress": {"logits": (2, 1)},
        "choose": {"logits": (2, OPTIONS)},
        "tag": {"logits": (2, 16, 3)},
        "span": {"start": (2, 16), "answerable": (2, 2)} if conditional
                else {"start": (2, 16), "end": (2, 16)},
        "cloze": {"logits": (2, 2)},
        "thought": {"logits": (2, 16, 90)},
    }[head]  # fmt: skip
    assert all(value.isfinite().all() for value in values.values())


# DeBERTa's own code, of its first version, asks the device for eight numbers in a forward pass.
# Cross-Thought's pre-training cuts blocks into short sequences, with a mask of their own.
WAITING = {("deberta", head) for head in TASKS} | {("cross_thought", "thought")}


@each_head
def test_a_forward_pass_does_not_wait_for_the_device_and_gives_the_same(
    kind: str, head: str, settings: dict[str, str]
) -> None:
    """The mask says whether it hides a token; without that, transformers asks the device."""
    model = built(kind, head, settings)
    for lengths in ((16, 11), (16, 16)):
        before = outputs(model, head, lengths=lengths)
        tell_padding(model)
        batch = token_batch(model.config, head, lengths)
        setattr(batch[MASK], PADDED, lengths == (16, 11))
        with torch.inference_mode(), Waits() as waits:
            values = model(**batch)
        assert (kind, head) in WAITING or waits.found == []
        for name, value in before.items():
            assert torch.equal(getattr(values, name), value), name


@each_head
def test_padding_changes_no_output_of_real_tokens(
    kind: str, head: str, settings: dict[str, str]
) -> None:
    model = built(kind, head, settings)
    narrow, wide = outputs(model, head), outputs(model, head, width=23)
    for name, value in narrow.items():
        rows = wide[name]
        for row, length in enumerate((16, 11)):  # words and positions of an answer are tokens
            tokens = slice(length) if value.ndim == 3 or head == "span" else slice(None)
            tokens = slice(None) if name == "answerable" else tokens
            assert_close(rows[row][tokens], value[row][tokens], name)


def test_mobilebert_reads_the_embedding_of_the_padding_behind_a_row() -> None:
    """A property of the family: its embedding of a token reads both neighbours.

    At the end of a batch's longest row there is no padding, which counts as an embedding of zeros.
    """
    model = built("mobilebert", "tag", {})
    with torch.no_grad():
        model.get_input_embeddings().weight[model.config.pad_token_id] = 1
    narrow, wide = (outputs(model, "tag", width=width)["logits"] for width in (16, 23))
    assert_close(wide[1, :11], narrow[1, :11], "the shorter row has padding in both")
    assert not torch.allclose(wide[0, :16], narrow[0], rtol=1e-3)


@each_head
def test_a_saved_model_is_read_to_the_same_outputs_by_transformers(
    kind: str, head: str, settings: dict[str, str], tmp_path: Path
) -> None:
    model = built(kind, head, settings)
    name = saved(model, tmp_path)
    if settings.get("span_head") != "conditional":  # a head that transformers does not have
        again = ARCHITECTURES[head].from_pretrained(name)
        attach_head(again, head)
        assert type(again) is type(model)
        assert_equal(model, again, head)
    encoder, own = AutoModel.from_pretrained(name).state_dict(), model.base_model.state_dict()
    assert {key for key in own if "pooler" not in key} <= set(encoder)
    for key in own.keys() & encoder.keys():
        torch.testing.assert_close(encoder[key], own[key], rtol=0, atol=0)


@each_head
def test_a_saved_model_is_read_to_the_same_outputs_to_predict(
    kind: str, head: str, settings: dict[str, str], tmp_path: Path
) -> None:
    model = built(kind, head, settings)
    again = load_finetuned(Path(saved(model, tmp_path)), TASKS[head], CPU)
    assert not again.training
    assert_equal(model, again, head)


@each_head
def test_a_saved_model_is_read_to_the_same_outputs_to_go_on_training(
    kind: str, head: str, settings: dict[str, str], tmp_path: Path
) -> None:
    model, hyper = built(kind, head, settings), Hyperparameters(**settings)
    name = saved(model, tmp_path / "first")
    pretrained = read_pretrained(name, TASKS[head], read_tokenizer(name, ()), hyper)
    trained = ReusableModel(CPU).model(pretrained, hyper, 1).eval()
    if settings.get("span_head") == "conditional":  # it is drawn anew, and the user is told
        assert pretrained.notes == (
            f"'{name}': its conditional head is not trained further; the head is drawn anew",
        )
        model = trained
    else:
        assert pretrained.notes == ()
        assert_equal(model, trained, head)
    save_model(tmp_path / "second", pretrained, export_weights(trained))
    assert_equal(model, load_finetuned(tmp_path / "second", TASKS[head], CPU), head)


@pytest.mark.parametrize("head", sorted(set(HEADS) - set(OF_CROSS_THOUGHT)))
def test_cross_thought_has_no_head_that_reads_one_row_of_tokens(head: str) -> None:
    with pytest.raises(InputError, match="no model of the family 'cross_thought'"):
        built("cross_thought", head, {})


SCRATCH_HEADS = {"cross-thought": OF_CROSS_THOUGHT}
SCRATCH = [
    (family, head)
    for family in model_names.FAMILIES
    for head in SCRATCH_HEADS.get(family, ("classify", "regress", "choose", "tag", "span"))
]
SENTENCES = [f"word{number} and word{number + 7} say more than one thing" for number in range(40)]


@pytest.mark.parametrize(("family", "head"), SCRATCH)
def test_a_model_from_scratch_is_saved_and_read_to_the_same_outputs(
    family: str, head: str, tmp_path: Path
) -> None:
    name, hyper = f"scratch-{family}:1x64:300", Hyperparameters()
    tokenizer = read_tokenizer(name, SENTENCES)
    pretrained = read_pretrained(name, TASKS[head], tokenizer, hyper)
    model = ReusableModel(CPU).model(pretrained, hyper, 1)
    assert model.config.vocab_size == len(tokenizer) <= 300
    save_model(tmp_path / "best", pretrained, export_weights(model))
    again = load_finetuned(tmp_path / "best", TASKS[head], CPU)
    assert_equal(model.eval(), again, head)
    ids = [tokenizer(text)["input_ids"] for text in SENTENCES[:3]]
    read_again = read_tokenizer(str(tmp_path / "best"), ())
    assert [read_again(text)["input_ids"] for text in SENTENCES[:3]] == ids
    assert read_again.get_vocab() == tokenizer.get_vocab()


def test_a_family_from_scratch_is_one_of_this_suite() -> None:
    kinds = {scratch.scratch_config(f"scratch-{family}", range(99)).model_type
             for family in model_names.FAMILIES}  # fmt: skip
    assert kinds <= set(CONTRACT)
