"""Cross-Thought's encoder against plain loops over its formulas, in float64, without padding."""

import math

import pytest
import torch
from transformers import AutoConfig, AutoModel, RobertaConfig, RobertaModel

from raysearch.models.cross_thought.configuration import CrossThoughtConfig
from raysearch.models.cross_thought.modeling import (
    MODELS,
    CrossThoughtForMaskedLM,
    CrossThoughtForSequenceClassification,
    CrossThoughtModel,
)
from raysearch.models.reusable import reset_weights

SLOTS, SHORT, WORDS, HEADS = 3, 6, 30, 3
ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])
PAIRS = [([5, 6, 7, 8], [9]), ([10], [11, 12, 13, 14, 15, 16, 17]), ([], [18, 5]), ([7] * 9, [])]


def toy(kind, *, attention="sdpa", **settings):
    """A float64 model without dropout in which every number is random."""
    shape = {
        "vocab_size": WORDS, "hidden_size": 12, "num_hidden_layers": 2, "slots": SLOTS,
        "num_attention_heads": HEADS, "intermediate_size": 20, "max_position_embeddings": 32,
        "short_length": SHORT, "num_labels": 3, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "attn_implementation": attention,
    }  # fmt: skip
    config = CrossThoughtConfig(**{**shape, **settings})
    torch.manual_seed(3)
    model = kind(config).double().eval()
    assert model.config._attn_implementation == attention
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def both(kind, **settings):
    """The same model with either attention."""
    return [toy(kind, attention=name, **settings) for name in ("eager", "sdpa")]


def ragged(rows):
    """Rows of ids, padded on the right, and what is not padding."""
    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[1] * (length - len(row))] for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])


def paired(pairs):
    return ragged([[0, *a, 2, 0, *b, 2] for a, b in pairs])


def text(*sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(4, WORDS, (size,), generator=generator).tolist() for size in sizes]


def sprinkled(ids, real, share=0.4):
    """Labels on some of the tokens that are no padding."""
    chosen = torch.rand(ids.shape, generator=torch.Generator().manual_seed(5)) < share
    chosen[:, 0] = True
    return ids.where(chosen & real.bool(), -100)


# The reference: one sequence at a time, every head and token on its own.


def leaves(model):
    """The model's parameters as float64 leaves of another graph."""
    found = model.named_parameters()
    return {n: p.detach().clone().requires_grad_() for n, p in found}


def linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p, name, x):
    away = x - x.mean()
    return away / torch.sqrt((away * away).mean() + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def layer(p, name, sequence):
    """One post-norm Transformer layer over a list of vectors."""
    own = f"{name}.attention.self"
    query, key, value = ([linear(p, f"{own}.{n}", x) for x in sequence]
                         for n in ("query", "key", "value"))  # fmt: skip
    size, out = len(sequence[0]) // HEADS, []
    for at, x in enumerate(sequence):
        read = []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = [query[at][part] @ k[part] / math.sqrt(size) for k in key]
            weights = [torch.exp(s - max(scores)) for s in scores]
            read.append(
                sum(w * v[part] for w, v in zip(weights, value, strict=True)) / sum(weights)
            )
        x = norm(p, f"{name}.attention.output.LayerNorm",
                 x + linear(p, f"{name}.attention.output.dense", torch.cat(read)))  # fmt: skip
        inner = gelu(linear(p, f"{name}.intermediate.dense", x))
        out.append(
            norm(p, f"{name}.output.LayerNorm", x + linear(p, f"{name}.output.dense", inner))
        )
    return out


def base(p, ids, positions, root="roberta."):
    """Embeddings and the two base layers of one sequence."""
    table = root + "embeddings."
    x = [
        norm(p, table + "LayerNorm", p[table + "word_embeddings.weight"][one]
             + p[table + "position_embeddings.weight"][position]
             + p[table + "token_type_embeddings.weight"][0])
        for one, position in zip(ids, positions, strict=True)
    ]  # fmt: skip
    for number in range(2):
        x = layer(p, f"{root}encoder.layer.{number}", x)
    return x


def embedding(p, sentence, first, root="roberta."):
    """The slots of a sentence, whose last token is </s>."""
    ids = [0] * SLOTS + [*sentence, 2]
    return base(p, ids, range(first, first + len(ids)), root)[:SLOTS]


def reference_logits(p, sentences, *, first=1, beside=False):
    """Of one example: a pair, or a sentence alone."""
    found = [embedding(p, one, first) for one in sentences]
    for slot in range(SLOTS):
        fused = layer(p, "roberta.cross.0", [one[slot] for one in found])
        for one, state in zip(found, fused, strict=True):
            one[slot] = state
    means = [sum(one) / SLOTS for one in found]
    x = torch.cat(means) if beside else sum(means) / len(means)
    x = torch.tanh(linear(p, "classifier.dense", x))
    return linear(p, "classifier.out_proj", x)


def reference_words(p, block, offset):
    """Scores of every word of a block, [tokens, vocabulary]."""
    rows = []
    for begin in range(0, len(block), SHORT):
        words = block[begin : begin + SHORT]
        places = [*range(SLOTS), *(SLOTS - 1 + offset + n for n in range(len(words)))]
        rows.append(base(p, [0] * SLOTS + words, places))
    for slot in range(SLOTS):
        for row, state in zip(
            rows, layer(p, "roberta.cross.0", [row[slot] for row in rows]), strict=True
        ):
            row[slot] = state
    states = [x for row in rows for x in layer(p, "roberta.cross.1", row)[SLOTS:]]
    inner = [norm(p, "lm_head.layer_norm", gelu(linear(p, "lm_head.dense", x))) for x in states]
    table = p["roberta.embeddings.word_embeddings.weight"]
    return torch.stack([table @ x + p["lm_head.bias"] for x in inner])


def entropy(logits, label):
    return torch.log(torch.exp(logits).sum()) - logits[label]


def assert_same_gradients(model, p):
    for name, parameter in model.named_parameters():
        ours = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        theirs = torch.zeros_like(parameter) if p[name].grad is None else p[name].grad
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7, msg=name)
    assert sum(x.grad is not None for x in p.values()) > len(p) / 2


def close(left, right, atol=1e-9):
    torch.testing.assert_close(left, right, rtol=0, atol=atol)


# Pre-training.


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1,), (6,), (18,), (20,), (20, 7), (3, 18)], ids=str)
@torch.no_grad()
def test_the_words_of_blocks_equal_the_loops(sizes):
    models, blocks = both(CrossThoughtForMaskedLM), text(*sizes)
    ids, real = ragged(blocks)
    for at, block in enumerate(blocks):
        expected = reference_words(dict(models[0].named_parameters()), block, offset=1)
        for model in models:
            close(model(ids, real).logits[at, : len(block)], expected)


@pytest.mark.slow
def test_the_loss_of_masked_words_and_its_gradients_equal_the_loops():
    models = both(CrossThoughtForMaskedLM)
    p, blocks = leaves(models[0]), text(20, 9)
    ids, real = ragged(blocks)
    labels = sprinkled(ids, real)
    torch.manual_seed(4)
    offset = int(torch.randint(1, models[0].config.highest_offset + 1, ()))
    assert offset > 1
    scores = [reference_words(p, block, offset) for block in blocks]
    losses = [
        entropy(scores[row][at], labels[row, at]) for row, at in (labels != -100).nonzero().tolist()
    ]
    expected = sum(losses) / len(losses)
    expected.backward()
    for model in models:
        torch.manual_seed(4)
        loss = model.train()(ids, real, labels).loss
        close(loss, expected)
        loss.backward()
        assert_same_gradients(model, p)


def test_scores_are_computed_of_the_labelled_tokens_alone():
    model, (ids, real) = toy(CrossThoughtForMaskedLM), ragged(text(20, 13))
    labels = sprinkled(ids, real)
    said = model(ids, real, labels)
    assert said.logits.shape == ((labels != -100).sum(), WORDS)
    close(said.logits, model(ids, real).logits[labels != -100])
    none = model(ids, real, torch.full_like(labels, -100))
    assert none.loss == 0
    assert none.logits.shape == (0, WORDS)


def test_the_loss_is_of_at_least_float32():
    model, (ids, real) = toy(CrossThoughtForMaskedLM), ragged(text(20))
    said = model.bfloat16()(ids, real, sprinkled(ids, real))
    assert (said.logits.dtype, said.loss.dtype) == (torch.bfloat16, torch.float32)


def positions_seen(model, ids, **inputs):
    """The positions of a forward pass, [rows, tokens]."""
    seen = []

    def look(_, given, named):
        seen.append(named["position_ids"].expand(len(given[0]), -1))

    handle = model.roberta.embeddings.register_forward_pre_hook(look, with_kwargs=True)
    model(ids, **inputs)
    handle.remove()
    (found,) = seen
    return found


def test_a_forward_pass_draws_one_offset_for_all_its_rows_from_1_to_the_highest():
    model = toy(CrossThoughtForMaskedLM, max_position_embeddings=SLOTS + SHORT + 3 + 3).train()
    assert model.config.highest_offset == 3
    (ids, real), drawn = ragged(text(20, 13)), []
    for seed in range(20):
        torch.manual_seed(seed)
        found = positions_seen(model, ids, attention_mask=real)
        offset = int(found[0, SLOTS]) - SLOTS + 1
        row = [*range(SLOTS), *(SLOTS - 1 + offset + n for n in range(SHORT))]
        assert found.tolist() == [row] * 8
        drawn.append(offset)
    assert set(drawn) == {1, 2, 3}
    torch.manual_seed(19)
    assert torch.equal(found, positions_seen(model, ids, attention_mask=real))
    model.eval()
    assert {int(positions_seen(model, ids)[0, SLOTS]) for _ in range(9)} == {SLOTS}


def drawing(offset, highest):
    """A seed with which a uniform draw from 1 to the highest gives this offset."""
    generator = torch.Generator()
    drawn = (
        int(torch.randint(1, highest + 1, (), generator=generator.manual_seed(seed)))
        for seed in range(10_000)
    )
    return next(seed for seed, found in enumerate(drawn) if found == offset)


@pytest.mark.parametrize(("offset", "last"), [(1, 68), (442, 509)])
def test_the_offsets_of_the_released_sizes_go_from_1_to_442(offset, last):
    settings = {"max_position_embeddings": 514, "slots": 5, "short_length": 64}
    model = toy(CrossThoughtForMaskedLM, **settings).train()
    assert model.config.highest_offset == 442
    torch.manual_seed(drawing(offset, 442))
    found = positions_seen(model, torch.tensor([[7]]))[0].tolist()
    assert found == [0, 1, 2, 3, 4, *range(4 + offset, last + 1)]
    assert len(found) == 5 + 64


def test_several_blocks_in_a_batch_give_what_each_gives_alone():
    model, blocks = toy(CrossThoughtForMaskedLM).train(), text(20, 5, 18)
    ids, real = ragged(blocks)
    torch.manual_seed(1)
    together = model(ids, real).logits
    for at, block in enumerate(blocks):
        torch.manual_seed(1)
        close(together[at, : len(block)], model(torch.tensor([block])).logits[0], atol=1e-12)


@ATTENTION
def test_rows_that_are_wholly_padding_have_no_influence(attention):
    model, (block,) = toy(CrossThoughtForMaskedLM, attention=attention), text(14)
    alone = model(torch.tensor([block])).logits[0]
    ids, real = ragged([block, text(40)[0]])
    for filler in (1, 17):  # whatever stands where the mask says padding
        ids[0, 14:] = filler
        close(model(ids, real).logits[0, :14], alone, atol=1e-12)
    close(model(ids[:1, :30], real[:1, :30]).logits[0, :14], alone, atol=1e-12)


@ATTENTION
def test_an_empty_block_is_finite_and_takes_nothing_from_the_others(attention):
    model, (block,) = toy(CrossThoughtForMaskedLM, attention=attention), text(14)
    ids, real = torch.tensor([block, [1] * 14]), torch.tensor([[1] * 14, [0] * 14])
    said = model(ids, real, ids.where(real.bool(), -100))
    said.loss.backward()
    close(said.logits, model(ids[:1]).logits[0], atol=1e-12)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("layers", [0, 2])
def test_without_cross_layers_short_sequences_know_nothing_of_each_other(layers):
    model, (block,) = toy(CrossThoughtForMaskedLM, cross_layers=layers), text(18)
    ids = torch.tensor([block, block])
    ids[1, 0] = block[0] % (WORDS - 5) + 5
    assert ids[1, 0] != ids[0, 0]
    here, there = model(ids).logits
    assert not torch.allclose(here[:SHORT], there[:SHORT])
    assert torch.allclose(here[SHORT:], there[SHORT:]) == (layers == 0)


# Fine-tuning.


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["released", "matching"])
@pytest.mark.parametrize("fusion", ["mean", "concatenate"])
def test_pairs_equal_the_loops(positions, fusion):
    models = both(CrossThoughtForSequenceClassification, positions=positions, fusion=fusion)
    p, (ids, real), labels = leaves(models[0]), paired(PAIRS), torch.tensor([0, 2, 1, 1])
    told = {"first": int(positions == "released"), "beside": fusion == "concatenate"}
    expected = torch.stack([reference_logits(p, pair, **told) for pair in PAIRS])
    loss = sum(entropy(row, label) for row, label in zip(expected, labels, strict=True)) / 4
    loss.backward()
    for model in models:
        said = model(ids, real, labels)
        close(said.logits, expected)
        close(said.loss, loss)
        said.loss.backward()
        assert_same_gradients(model, p)
        assert all(x.grad is None for x in model.roberta.cross[1].parameters())
        for row, pair in enumerate(PAIRS):  # each alone, and without a mask
            close(model(paired([pair])[0]).logits[0], said.logits[row], atol=1e-12)


def test_sentences_alone_equal_the_loops_also_beside_pairs():
    models = both(CrossThoughtForSequenceClassification)
    p, rows = leaves(models[0]), [([5, 6, 7],), ([8],), PAIRS[0]]
    expected = torch.stack([reference_logits(p, row) for row in rows])
    ids, real = ragged([[0, 5, 6, 7, 2], [0, 8, 2], paired(PAIRS[:1])[0][0].tolist()])
    for model in models:
        close(model(ids, real).logits, expected)
        close(model(ids[:2], real[:2]).logits, expected[:2])


@pytest.mark.parametrize(("fusion", "same"), [("mean", True), ("concatenate", False)])
def test_swapping_the_sentences_changes_nothing_as_released(fusion, same):
    model = toy(CrossThoughtForSequenceClassification, fusion=fusion)
    one = model(*paired(PAIRS)).logits
    other = model(*paired([(b, a) for a, b in PAIRS])).logits
    assert torch.allclose(one, other, rtol=0, atol=1e-12) == same


@pytest.mark.parametrize(("positions", "first"), [("released", 1), ("matching", 0)])
def test_each_sentence_counts_its_positions_from_its_own_first_slot(positions, first):
    model = toy(CrossThoughtForSequenceClassification, positions=positions)
    ids, real = paired(PAIRS[:1])
    found = positions_seen(model, ids, attention_mask=real)[0].tolist()
    slots, words = [*range(first, first + SLOTS)], first + SLOTS
    assert found[: 2 * SLOTS] == slots * 2
    a, b = found[2 * SLOTS : 2 * SLOTS + 5], found[2 * SLOTS + 6 :]  # between them B's own <s>
    assert (a, b) == ([*range(words, words + 5)], [*range(words, words + 2)])


def test_the_second_slots_position_is_trained_although_it_is_the_padding_id():
    model = toy(CrossThoughtForSequenceClassification)
    model(*paired(PAIRS)).logits.sum().backward()
    grad = model.roberta.embeddings.position_embeddings.weight.grad
    assert grad[1].abs().sum() > 0
    assert grad[0].abs().sum() == 0


def test_without_cross_layers_a_pair_is_the_mean_of_two_encodings():
    with_, without = (
        toy(CrossThoughtForSequenceClassification, cross_layers=layers) for layers in (2, 0)
    )
    without.load_state_dict(with_.state_dict(), strict=False)
    assert not [name for name, _ in without.named_parameters() if "cross" in name]
    (ids, real), embed = paired(PAIRS[:1]), without.roberta.embed
    means = [embed(ragged([[0, *one, 2]])[0]).mean(1) for one in PAIRS[0]]
    expected = without.classifier((means[0] + means[1])[:, None] / 2)
    close(without(ids, real).logits, expected, atol=1e-12)
    assert not torch.allclose(without(ids, real).logits, with_(ids, real).logits)


def test_the_head_reads_only_so_many_tokens_of_the_last_layer():
    model, seen = toy(CrossThoughtForSequenceClassification), []

    def keep(_, __, out):
        out.retain_grad()
        seen.append(out)

    model.roberta.encoder.layer[-1].register_forward_hook(keep)
    model(*paired(PAIRS)).logits.sum().backward()
    reached = seen[0].grad.abs().sum((0, 2)) > 0
    assert reached.nonzero()[:, 0].tolist() == list(range(model.tokens_read))


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ([0, 5, 6], 0),
        ([0, 5, 2, 2, 6, 2], 3),  # RoBERTa's own pair
        ([0, 5, 2, 0, 6, 2, 0, 7, 2], 3),
        ([0, 5, 2, 0, 6], 1),
        ([0, 5, 2, 6, 2], 2),  # the second does not open
        ([0, 5, 2, 0, 6, 2, 7], 2),
        ([0, 5, 0, 6, 2, 0, 7, 2], 2),
        ([5, 2, 0, 6, 2], 2),
        ([1, 0, 5, 2, 0, 6, 2], 2),
    ],
    ids=str,
)
def test_a_row_of_another_form_is_refused_with_its_number_and_its_ends(row, count):
    model = toy(CrossThoughtForSequenceClassification)
    ids, real = ragged([*paired(PAIRS[:2])[0].tolist(), row])
    ids, real = (torch.cat([x, torch.full((3, 2), pad)], 1) for x, pad in ((ids, 1), (real, 0)))
    with pytest.raises(ValueError, match=rf"row 2 has {count} </s>.*<s> A </s> <s> B </s>"):
        model(ids, (ids != 1).long())
    with pytest.raises(ValueError, match="row 2"):
        model(ids)


def test_a_pair_is_no_text_to_embed_and_a_sentence_alone_cannot_be_concatenated():
    model = toy(CrossThoughtForSequenceClassification, fusion="concatenate")
    with pytest.raises(ValueError, match="row 1 has 1 </s>"):
        model(*ragged([[0, 5, 2, 0, 6, 2], [0, 5, 2]]))
    with pytest.raises(ValueError, match="row 0 has 2 </s>"):
        model.roberta.embed(*ragged([[0, 5, 2, 0, 6, 2], [0, 5, 2]]))


@pytest.mark.parametrize(("positions", "longest"), [("released", 29), ("matching", 30)])
def test_a_sentence_longer_than_the_positions_is_refused_and_the_longest_is_not(positions, longest):
    model = toy(CrossThoughtForSequenceClassification, positions=positions)
    assert model.config.longest_sentence == longest
    words = [5] * (longest - 2)
    found = positions_seen(model, paired([(words, words)])[0])
    assert found.max() == model.config.max_position_embeddings - 1
    with pytest.raises(ValueError, match=f"row 1 .* {longest + 1} tokens .* at most {longest}"):
        model(*paired([(words, words), (words, [*words, 6])]))


# Embeddings.


def test_embeddings_equal_the_loops_whatever_stands_beside_them():
    models, texts = both(CrossThoughtModel), [[5, 6, 7], [8], [9, 10, 11, 12, 13], []]
    ids, real = ragged([[0, *one, 2] for one in texts])
    p = leaves(models[0])
    expected = torch.stack([torch.stack(embedding(p, one, 1, root="")) for one in texts])
    for model in models:
        close(model.embed(ids, real), expected)
        close(model(ids, real).last_hidden_state, expected)


def test_stored_embeddings_are_fused_to_what_the_pair_gives():
    model = toy(CrossThoughtForSequenceClassification)
    one, other = (
        model.roberta.embed(*ragged([[0, *pair[at], 2] for pair in PAIRS])) for at in (0, 1)
    )
    fused = model.roberta.fuse(torch.stack([one, other], 1))
    logits = model.classifier(fused.mean((1, 2))[:, None])
    close(model(*paired(PAIRS)).logits, logits, atol=1e-12)


# The family.


def test_the_base_shape_has_as_many_parameters_as_the_released_one_and_a_token_type():
    with torch.device("meta"):
        model = CrossThoughtModel(CrossThoughtConfig())
    counts = {name: p.numel() for name, p in model.named_parameters()}
    # RoBERTa of transformers adds one row to all tokens; fairseq's has none.
    assert counts.pop("embeddings.token_type_embeddings.weight") == 768
    assert sum(counts.values()) == 138_230_016


def test_a_roberta_folder_loads_by_name_and_lacks_only_the_cross_layers(tmp_path):
    settings = {"vocab_size": WORDS, "hidden_size": 12, "num_attention_heads": HEADS,
                "num_hidden_layers": 2, "intermediate_size": 20, "max_position_embeddings": 40,
                "type_vocab_size": 1}  # fmt: skip
    plain = RobertaModel(RobertaConfig(**settings), add_pooling_layer=False)
    plain.save_pretrained(tmp_path)
    config = CrossThoughtConfig(**settings, short_length=SHORT)
    for kind, prefix, head in (
        (CrossThoughtModel, "", "cross"),
        (CrossThoughtForMaskedLM, "roberta.", "lm_head"),
        (CrossThoughtForSequenceClassification, "roberta.", "classifier"),
    ):
        model, info = kind.from_pretrained(tmp_path, config=config, output_loading_info=True)
        rest = {name for name in info["missing_keys"] if not name.startswith(head)}
        assert all(name.startswith(f"{prefix}cross.") for name in rest)
        assert len(info["missing_keys"]) >= 32
        assert not info["unexpected_keys"]
        assert not info["mismatched_keys"]
        loaded = model.state_dict()
        for name, tensor in plain.state_dict().items():
            torch.testing.assert_close(loaded[prefix + name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("auto", MODELS, ids=lambda auto: auto.__name__)
def test_a_saved_folder_reads_back_to_the_same_model(auto, tmp_path):
    AutoConfig.register("cross_thought", CrossThoughtConfig, exist_ok=True)
    auto.register(CrossThoughtConfig, MODELS[auto], exist_ok=True)
    model = toy(MODELS[auto], positions="matching", fusion="concatenate")
    model.save_pretrained(tmp_path)
    again = auto.from_pretrained(tmp_path)
    assert type(again) is MODELS[auto]
    assert (again.config.positions, again.config.fusion, again.config.slots) == (
        "matching", "concatenate", SLOTS,
    )  # fmt: skip
    before, after = model.state_dict(), again.eval().state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    ids, _ = ragged([[0, 5, 2]]) if auto is AutoModel else paired(PAIRS)
    close(again(ids)[0], model(ids)[0], atol=1e-12)


@pytest.mark.parametrize("kind", MODELS.values(), ids=lambda kind: kind.__name__)
def test_what_is_not_known_is_drawn_from_the_seed(kind):
    model = toy(kind).float()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    known = {name for name in weights if "cross" not in name and "classifier" not in name}
    drawn = []
    for seed in (1, 1, 2):
        reset_weights(model, weights, known, seed)
        drawn.append({name: x.clone() for name, x in model.state_dict().items()})
    for name, tensor in weights.items():
        first, again, other = (one[name] for one in drawn)
        assert torch.equal(first, again)
        if name in known:
            assert torch.equal(first, tensor)
        elif tensor.ndim > 1:
            assert not torch.equal(first, other)
            assert 0.01 < first.std() < 0.03
    assert len(known) < len(weights)


@pytest.mark.parametrize("kind", [CrossThoughtForMaskedLM, CrossThoughtForSequenceClassification])
def test_gradient_checkpointing_changes_no_gradient(kind):
    model, grads = toy(kind).train(), []
    ids, real = paired(PAIRS)
    labels = torch.tensor([0, 1, 2, 0])
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.zero_grad()
        torch.manual_seed(0)
        told = ids.where(real.bool(), -100) if kind is CrossThoughtForMaskedLM else labels
        model(ids, real, told).loss.backward()
        grads.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, checked in zip(*grads, strict=True):
        close(plain, checked, atol=1e-12)


def test_values_that_cannot_be_are_refused_together_with_what_would_do():
    with pytest.raises(ValueError, match=r"(?s)slots is 0.*1 or more.*cross_layers is 1.*0 or 2"):
        CrossThoughtConfig(slots=0, cross_layers=1)
    with pytest.raises(ValueError, match="positions is 'last', not 'released' or 'matching'"):
        CrossThoughtConfig(positions="last")
    with pytest.raises(ValueError, match="fusion is None, not 'mean' or 'concatenate'"):
        CrossThoughtConfig(fusion=None)
    with pytest.raises(ValueError, match="short_length is 0"):
        CrossThoughtConfig(short_length=0)
    with pytest.raises(ValueError, match="max_position_embeddings is 514, not 515 or more"):
        CrossThoughtConfig(short_length=506)
    assert CrossThoughtConfig(short_length=505).highest_offset == 1
