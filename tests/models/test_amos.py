"""AMOS and COCO-LM's encoder against its published formulas in plain loops, and as a transformers
family: saved, loaded in another process, drawn anew by a seed."""

import math
import subprocess
import sys

import pytest
import torch
from support.amos_reference import SHAPE, published_row, reference
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from raysearch.models import auto_registration
from raysearch.models.amos.configuration import AmosConfig
from raysearch.models.amos.modeling import AmosModel, AmosSelfAttention, relative_position_bucket
from raysearch.models.amos.modeling_heads import MODELS
from raysearch.models.reusable import reset_weights

PAD = 1
HEADS = {
    "classify": AutoModelForSequenceClassification,
    "choose": AutoModelForMultipleChoice,
    "tag": AutoModelForTokenClassification,
    "span": AutoModelForQuestionAnswering,
}
WAYS = ("eager", "sdpa")


def toy(auto=AutoModel, way="sdpa", dtype=torch.float64, **settings):
    """A small model whose weights are all random, norms and biases too."""
    config = AmosConfig(**{**SHAPE, **settings})
    model = auto.from_config(config, attn_implementation=way)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim > 1 else 1))
    return model.to(dtype).eval()


def rows(length, padded):
    """Three examples of random tokens; padded: the second has half of them, the third one."""
    words = torch.randint(4, 50, (3, length), generator=torch.Generator().manual_seed(length))
    real = torch.ones_like(words)
    if padded:
        for example, tokens in ((1, -(-length // 2)), (2, 1)):
            words[example, tokens:], real[example, tokens:] = PAD, 0
    return words, real


def test_the_row_of_every_distance_is_the_published_one():
    distances = torch.arange(-511, 512)
    found = relative_position_bucket(distances, 64, 128).tolist()
    assert found == [published_row(distance) for distance in range(-511, 512)]
    assert sorted(set(found)) == list(range(63))


def test_the_large_models_rows_follow_the_same_formula():
    def row(distance):
        away = abs(distance)
        far = math.ceil(math.log(away / 32) / math.log(255 / 32) * 31) if away > 32 else 0
        return 63 + int(math.copysign(min(63, min(away, 32) + far), distance))

    found = relative_position_bucket(torch.arange(-511, 512), 128, 256).tolist()
    assert found == [row(distance) for distance in range(-511, 512)]
    assert sorted(set(found)) == list(range(127))


def test_the_bias_of_two_tokens_depends_on_their_distance_alone():
    model = toy()
    weight = model.relative_attention_bias.weight
    for length in (1, 7, 140):
        bias = model.bias(length)
        assert bias.shape == (1, 3, length, length)
        at = torch.tensor([[published_row(k - q) for k in range(length)] for q in range(length)])
        assert torch.equal(bias[0], weight[at].permute(2, 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 5, 19])
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_outputs_and_gradients_equal_the_formulas_in_plain_loops(padded, length):
    words, real = rows(length, padded)
    weights = {n: p.detach().clone().requires_grad_() for n, p in toy().named_parameters()}
    expected = reference(weights, words, real)
    direction = torch.randn(expected.shape, dtype=expected.dtype)
    (expected * direction).sum().backward()
    for way in WAYS:
        model = toy(way=way)
        found = model(words, attention_mask=real).last_hidden_state
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
        with torch.inference_mode():  # sdpa's fast kernel, which gives no gradient of a bias
            found_again = model(words, attention_mask=real).last_hidden_state
        torch.testing.assert_close(found_again, expected.detach(), rtol=0, atol=1e-9)
        (found * direction).sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(
                parameter.grad, weights[name].grad, rtol=0, atol=1e-7, msg=f"{way}: {name}"
            )
        bias = model.relative_attention_bias.weight.grad
        assert not bias[63].any()
        assert bias.any() == (length > 1)


@pytest.mark.slow
def test_long_rows_equal_the_formulas_too():
    words, real = (x[1:2] for x in rows(124, padded=True))
    with torch.inference_mode():
        expected = reference(dict(toy().named_parameters()), words, real)
        for way in WAYS:
            found = toy(way=way)(words, attention_mask=real).last_hidden_state
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_no_mask_means_no_padding():
    words, real = rows(9, padded=False)
    model = toy()
    with torch.inference_mode():
        assert torch.equal(model(words)[0], model(words, attention_mask=real)[0])


def test_all_layers_share_one_bias():
    model, seen = toy(num_hidden_layers=4), []
    for module in model.modules():
        if isinstance(module, AmosSelfAttention):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    model(*rows(5, padded=True))
    assert len(seen) == 4
    assert all(bias is seen[0] for bias in seen)


@pytest.mark.parametrize("way", WAYS)
def test_padding_changes_nothing_whatever_stands_in_it(way):
    model = toy(way=way)
    words, _ = rows(11, padded=False)
    more = torch.cat([words, torch.randint(4, 50, (3, 6))], 1)
    real = torch.cat([torch.ones_like(words), torch.zeros(3, 6, dtype=torch.long)], 1)
    with torch.inference_mode():
        alone, among = model(words)[0], model(more, attention_mask=real)[0][:, :11]
    torch.testing.assert_close(among, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_an_example_of_nothing_but_padding_gives_finite_numbers(way, dtype):
    model = toy(way=way, dtype=dtype)
    words, real = rows(6, padded=True)
    real[2] = 0
    found = model(words, attention_mask=real).last_hidden_state
    found.float().pow(2).sum().backward()
    assert found.dtype == dtype
    assert found.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_close(way, dtype):
    words, real = rows(30, padded=True)
    exact = toy(way=way)(words, attention_mask=real).last_hidden_state
    half = toy(way=way, dtype=dtype)(words, attention_mask=real).last_hidden_state
    with torch.autocast("cpu", dtype):
        mixed = toy(way=way, dtype=torch.float32)(words, attention_mask=real).last_hidden_state
    for found in (half, mixed):
        error = (found.double() - exact).abs().mean() / exact.abs().mean()
        assert error < 30 * torch.finfo(dtype).eps


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_gradients_are_the_same(reentrant):
    gradients = []
    for checkpointed in (False, True):
        model = toy(HEADS["classify"], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                    classifier_dropout=0.0).train()  # fmt: skip
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        words, real = rows(8, padded=True)
        model(words, attention_mask=real, labels=torch.tensor([0, 1, 1])).loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_embeddings_may_be_given_for_words():
    words, real = rows(8, padded=True)
    model = toy()
    given = model.get_input_embeddings()(words)
    assert torch.equal(model(words, real)[0], model(inputs_embeds=given, attention_mask=real)[0])
    choices = toy(HEADS["choose"])
    both = (words[None], real[None]), {"inputs_embeds": choices.get_input_embeddings()(words)[None]}
    found = choices(*both[0]).logits, choices(attention_mask=real[None], **both[1]).logits
    assert torch.equal(*found)
    for wrong in ({}, {"input_ids": words, "inputs_embeds": given}):
        with pytest.raises(ValueError, match="input_ids"):
            model(**wrong)


def test_more_tokens_than_positions_are_refused():
    with pytest.raises(ValueError, match="141 tokens in a row; 140 have positions"):
        toy()(torch.full((1, 141), 5))


def test_an_attention_that_takes_no_bias_is_refused():
    with pytest.raises(ValueError, match="flex_attention"):
        toy(way="flex_attention")


def test_states_and_attentions_are_given_on_demand():
    words, real = rows(6, padded=True)
    said = toy(way="eager")(words, real, output_hidden_states=True, output_attentions=True)
    assert [x.shape for x in said.hidden_states] == [(3, 6, 12)] * 3
    assert torch.equal(said.hidden_states[-1], said.last_hidden_state)
    assert [x.shape for x in said.attentions] == [(3, 3, 6, 6)] * 2
    shares = said.attentions[0]
    torch.testing.assert_close(shares.sum(-1), torch.ones(3, 3, 6, dtype=torch.float64))
    assert not shares[2, ..., 1:].any()
    assert isinstance(toy()(words, real, return_dict=False), tuple)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_the_classifier_reads_the_first_token(activation):
    model = toy(HEADS["classify"], head_activation=activation, num_labels=3)
    words, real = rows(7, padded=True)
    first = model.amos(words, real)[0][:, 0]
    weights = dict(model.classifier.named_parameters())
    inner = first @ weights["dense.weight"].T + weights["dense.bias"]
    shape = {"tanh": torch.tanh, "gelu": lambda x: x / 2 * (1 + torch.erf(x / math.sqrt(2)))}
    expected = shape[activation](inner) @ weights["out_proj.weight"].T + weights["out_proj.bias"]
    torch.testing.assert_close(model(words, real).logits, expected, rtol=0, atol=1e-12)


def test_heads_give_losses_of_their_labels():
    words, real = rows(7, padded=True)
    two = words[:2].unflatten(0, (1, 2)), real[:2].unflatten(0, (1, 2))
    logits = toy(HEADS["choose"])(*two, labels=torch.tensor([1]))
    one_by_one = toy(HEADS["choose"])(words[:2, None], real[:2, None]).logits
    torch.testing.assert_close(logits.logits, one_by_one.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(logits.loss, -logits.logits.log_softmax(-1)[0, 1])

    tagged = toy(HEADS["tag"], num_labels=4)(words, real, labels=torch.full_like(words, 3))
    assert tagged.logits.shape == (3, 7, 4)
    torch.testing.assert_close(tagged.loss.double(), -tagged.logits.log_softmax(-1)[..., 3].mean(),
                               rtol=1e-6, atol=0)  # fmt: skip

    span = toy(HEADS["span"])
    said = span(words, real, start_positions=torch.tensor([1, 0, 0]),
                end_positions=torch.tensor([2, 0, 0]))  # fmt: skip
    both = span.amos(words, real)[0] @ span.qa_outputs.weight.T + span.qa_outputs.bias
    torch.testing.assert_close(torch.stack([said.start_logits, said.end_logits], -1), both)
    ends = (said.start_logits, [1, 0, 0]), (said.end_logits, [2, 0, 0])
    losses = [-x.log_softmax(-1)[range(3), gold].mean() for x, gold in ends]
    torch.testing.assert_close(said.loss, sum(losses) / 2)

    scored = toy(HEADS["classify"], num_labels=1)(words, real, labels=torch.zeros(3).double())
    torch.testing.assert_close(scored.loss, scored.logits.pow(2).mean())


def drawn(head, **settings):
    torch.manual_seed(11)
    return HEADS[head].from_config(AmosConfig(**{**SHAPE, "hidden_size": 300, **settings}))


@pytest.mark.parametrize("head", ["classify", "choose"])
def test_a_head_is_drawn_as_fairseq_or_as_the_hugging_face_folder_draws_it(head):
    default, normal = (drawn(head, head_init=init).classifier for init in ("default", "normal"))
    bound = 300**-0.5
    for name, parameter in default.named_parameters():
        assert 0 < parameter.abs().max() <= bound, name
    torch.testing.assert_close(default.dense.weight.std().item(), bound / 3**0.5, rtol=0.02, atol=0)
    torch.testing.assert_close(default.dense.bias.std().item(), bound / 3**0.5, rtol=0.1, atol=0)
    torch.testing.assert_close(normal.dense.weight.std().item(), 0.02, rtol=0.02, atol=0)
    assert not normal.dense.bias.any()
    assert not normal.out_proj.bias.any()


def test_what_is_no_classifier_is_drawn_normal():
    span, tag = drawn("span").qa_outputs, drawn("tag", num_labels=50).classifier
    for linear in (span, tag, drawn("span").amos.encoder["layer"][0].output["dense"]):
        torch.testing.assert_close(linear.weight.std().item(), 0.02, rtol=0.1, atol=0)
        assert not linear.bias.any()
    words = drawn("span").amos.embeddings.word_embeddings
    assert words.padding_idx == PAD
    assert words.weight[0].any()
    assert not words.weight[PAD].any()


def test_restoring_keeps_the_encoder_and_draws_the_head_from_the_seed():
    model = toy(HEADS["classify"], dtype=torch.float32)
    weights = {name: x.clone() for name, x in model.state_dict().items()}
    known = {name for name in weights if name.startswith("amos.")}
    draws = []
    for seed in (1, 2, 1):
        reset_weights(model, weights, known, seed)
        draws.append({name: x.clone() for name, x in model.state_dict().items()})
    one, other, again = draws
    for name in weights:
        assert torch.equal(one[name], again[name]), name
        assert torch.equal(one[name], weights[name]) == (name in known), name
        assert torch.equal(one[name], other[name]) == (name in known), name
        assert name in known or one[name].abs().max() <= 12**-0.5


def test_the_base_encoder_has_the_published_size():
    with torch.device("meta"):
        model = AmosModel(AmosConfig())
    tensors = model.state_dict()
    assert len(tensors) == 149
    assert sum(x.numel() for x in tensors.values()) == 134_601_984
    assert list(tensors)[:5] == [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
        "relative_attention_bias.weight",
    ]
    assert tensors["encoder.layer.11.attention.self_attn.in_proj.weight"].shape == (2304, 768)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"hidden_size": 30, "num_attention_heads": 4},
            "hidden_size is 30, not a multiple of the 4",
        ),
        ({"num_attention_heads": 0}, "num_attention_heads is 0, not 1 or more"),
        ({"vocab_size": "many"}, "vocab_size is 'many', not 1 or more"),
        ({"rel_pos_bins": 7}, "rel_pos_bins is 7, not an even number"),
        ({"max_rel_pos": 17}, "max_rel_pos is 17, not above 17"),
        ({"classifier_dropout": 1.5}, "classifier_dropout is 1.5, not from 0 to below 1"),
        ({"type_vocab_size": 2}, "type_vocab_size is 2, not 0"),
        ({"pad_token_id": 64000}, "pad_token_id is 64000, not from 0 to 63999"),
        ({"hidden_act": "gulu"}, "hidden_act is 'gulu', not an activation"),
        ({"head_activation": "relu"}, "head_activation is 'relu', not tanh or gelu"),
        ({"head_init": "zero"}, "head_init is 'zero', not default or normal"),
    ],
)
def test_a_bad_shape_is_refused_with_what_would_do(wrong, said):
    with pytest.raises(ValueError, match=said):
        AmosConfig(**wrong)


def test_all_of_a_bad_shape_is_said_at_once():
    with pytest.raises(ValueError, match=r"rel_pos_bins .*; head_init "):
        AmosConfig(rel_pos_bins=7, head_init="zero")


def test_registering_again_does_no_harm():
    auto_registration.register()
    auto_registration.register()
    assert AutoConfig.for_model("amos", **SHAPE) == AmosConfig(**SHAPE)
    assert set(MODELS) == {AutoModel, *HEADS.values()}


def score(model):
    """One number that tells whether a model is the same."""
    words, _ = rows(5, padded=False)
    if "MultipleChoice" in type(model).__name__:
        words = words[None]
    with torch.inference_mode():
        return model(words)[0].double().pow(2).sum().item()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of each head -> what the model that was saved there says."""
    found = {}
    for head, auto in HEADS.items():
        model = toy(auto, dtype=torch.float32, head_activation="gelu", rel_pos_bins=32)
        folder = tmp_path_factory.mktemp(head)
        model.save_pretrained(folder)
        found[folder] = (auto.__name__, score(model))
    return found


def test_a_saved_model_loads_to_the_same_outputs(saved):
    for folder, (auto, expected) in saved.items():
        model = getattr(sys.modules["transformers"], auto).from_pretrained(folder)
        assert model.config.head_activation == "gelu"
        assert score(model) == expected
        encoder = AutoModel.from_pretrained(folder)
        assert type(encoder) is AmosModel
        assert torch.equal(encoder.relative_attention_bias.weight,
                           model.amos.relative_attention_bias.weight)  # fmt: skip


OPENINGS = {
    "raysearch first": "import raysearch; import transformers",
    "transformers first": "import transformers; transformers.AutoModel; import raysearch",
    "amid an import": "import raysearch; from transformers import BertModel; import transformers",
}


@pytest.fixture(scope="module")
def fresh(saved):
    """Processes, started together, that load every head and print where its class is from."""
    heads = [(str(folder), auto) for folder, (auto, _) in saved.items()]
    loading = (
        f"\nfor folder, auto in {heads}:"
        "\n    model = getattr(transformers, auto).from_pretrained(folder)"
        "\n    bias = model.amos.relative_attention_bias.weight[0, 0]"
        "\n    print(type(model).__module__, bias.item())"
        "\nassert 'Amos' in type(transformers.AutoModel.from_pretrained(folder)).__name__"
    )
    return {
        name: subprocess.Popen(
            [sys.executable, "-c", code + loading],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name, code in OPENINGS.items()
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("opening", OPENINGS)
def test_a_fresh_process_loads_every_head(fresh, opening):
    printed, errors = fresh[opening].communicate()
    assert fresh[opening].returncode == 0, errors
    bias = toy(dtype=torch.float32, rel_pos_bins=32).relative_attention_bias.weight[0, 0].item()
    assert printed.split() == ["raysearch.models.amos.modeling_heads", str(bias)] * len(HEADS)
