"""Views of training examples, the losses over them, and both stages. All of it toys."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.head_toys import CPU, MADE, words
from support.toys import toy_unigram
from support.trials import STILL, assert_same, gradients
from support.waits import Waits
from torch.nn import functional

from raysearch import study
from raysearch.data.augmentation.augmented_dataset import AugmentedDataset
from raysearch.data.columns import GROUP
from raysearch.data.dataset import EncodedDataset
from raysearch.data.prefetch import training_steps
from raysearch.data.training_set import as_training_set
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.models.reusable import export_weights
from raysearch.recipes import RECIPES
from raysearch.recipes.finetune import model_outputs
from raysearch.recipes.stabletune_hyperparameters import teacher_configuration
from raysearch.recipes.task_losses import IGNORE_INDEX
from raysearch.tasks import Task
from raysearch.training import Job, Trainer, make_schedule

STABLE = RECIPES["stabletune"]
PAIR = Task(name="toy/pair", head="classify", inputs=("one", "two"), labels=("no", "yes"),
            metric="accuracy", folder="", train=None)  # fmt: skip
# w7 is the answer of the toy questions; it has a translation, so that leaving it alone is a choice.
DICTIONARIES = {"de": {f"w{n}": (f"w{(n + 1) % 80}", f"w{n} w1") for n in range(0, 80, 2)},
                "fr": {f"w{n}": (f"w{(n + 9) % 80}",) for n in range(7, 80)}}  # fmt: skip
KINDS = ("classify", "tag", "span")


def pairs(count=24):
    random = np.random.default_rng(3)
    rows = ((words(random, random.integers(1, 9)), words(random, random.integers(1, 9)))
            for _ in range(count))  # fmt: skip
    return [{"id": str(at), "one": one, "two": two, "label": int(random.integers(2))}
            for at, (one, two) in enumerate(rows)]  # fmt: skip


TOYS = {**MADE, "classify": (PAIR, pairs)}


def table(kind, hyper, rows=None, *, train=True):
    task, make = TOYS[kind]
    columns = HEADS[kind].encoder.encode(
        make() if rows is None else rows, task, toy_unigram(), hyper, train=train
    )
    made = pa.Table.from_pydict(columns).replace_schema_metadata({GROUP: "1"})
    return made, HEADS[kind].encoder.padding(toy_unigram())


def settings(**given):
    usual = {"BSZ": 8, "LR": 1e-2, "EPOCH": 2, "evaluations": 2, "max_length": 24, "doc_stride": 4}
    return STABLE.hyper(**{**usual, "subword_ratio": 0.6, "switch_ratio": 0.7, **given})


def material(kind, hyper):
    """Dictionaries, and as translations of two of three rows their words from behind."""
    given = {"tokenizer": toy_unigram(), "dictionaries": DICTIONARIES}
    if "translation" not in hyper.view_kinds():
        return given
    rows = TOYS[kind][1]()
    pool, _ = translated = table(kind, hyper, [_translated(row) for row in rows])
    ids, own = pool["id"].to_pylist(), table(kind, hyper)[0]["id"].to_pylist()
    found = [[n for n, one in enumerate(ids) if one == at and int(at) % 3] for at in own]
    offsets = np.cumsum([0, *map(len, found)])
    return {**given, "pool": translated, "candidates": (offsets, np.concatenate(found).astype(int))}


def _translated(row):
    row = dict(row)
    for name in ("one", "two"):
        if name in row:
            row[name] = " ".join(reversed(row[name].split()))
    if "words" in row:
        row |= {
            "words": tuple(reversed(row["words"])),
            "label": (IGNORE_INDEX,) * len(row["words"]),
        }
    return row


def views(kind, **given):
    hyper = settings(**given)
    return AugmentedDataset(
        EncodedDataset(*table(kind, hyper)), hyper, material(kind, hyper)
    ), hyper


def job(kind, stage=1, **given):
    hyper = settings(**given)
    given = material(kind, hyper) if hyper.view_kinds() else None
    train = as_training_set(EncodedDataset(*table(kind, hyper)), hyper, given)
    dev = EncodedDataset(*table(kind, hyper, train=False))
    return Job(
        task=TOYS[kind][0],
        stage=STABLE.stage_of(hyper),
        hyper=hyper,
        seed=1,
        schedule=make_schedule(hyper, len(train), ()),
        train=train,
        dev={"dev": dev},
    )


@pytest.fixture
def pretrained(toy_folder):
    folder = str(toy_folder("bert", vocab_size=98))

    def make(kind, hyper):
        return read_pretrained(folder, TOYS[kind][0], read_tokenizer(folder, ()), hyper)

    return make


def spelled(ids):
    """The text that tokens spell, without special tokens."""
    return toy_unigram().decode(ids, skip_special_tokens=True).replace("▁", " ").replace(" ", "")


# What is seen.


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("corpus", ["subwords", "switch"])
def test_the_other_view_is_of_the_english_words(kind, corpus):
    seen, _ = views(kind, corpus=corpus)
    pass_ = seen.with_epoch(1, 0)
    differ = 0
    for row in range(len(seen)):
        made = pass_.build(row)
        own, noised = list(made.original["input_ids"]), list(made.noised["input_ids"])
        assert own[0] == noised[0] == 2
        assert max(len(own), len(noised)) <= 24
        english = seen.examples.row("input_ids", row % len(seen.examples)).tolist()
        cut = max(map(len, (own, noised, english))) == 24
        for ids in (own, noised) if corpus == "subwords" else (noised,):
            assert cut or spelled(ids) == spelled(english)
        differ += own != noised
        if row < len(seen.examples):
            table_row = seen.examples.row("input_ids", row).tolist()
            assert own == table_row[: len(own) - 1] + own[-1:]
    assert differ > len(seen) / 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_draws_its_own_views_and_the_same_wherever_it_is_drawn(kind):
    seen, _ = views(kind, view="switch", corpus="subwords")
    again, _ = views(kind, view="switch", corpus="subwords")

    def ids(views, seed, number):
        drawn = views.with_epoch(seed, number)
        return [[*map(int, drawn.build(row).noised["input_ids"])] for row in range(len(views))]

    first = ids(seen, 1, 0)
    assert ids(seen, 1, 1) != first
    assert ids(seen, 2, 0) != first
    assert ids(again, 1, 0) == first
    assert ids(seen, 1, 0) == first


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_steps_made_ahead_hold_what_is_made_on_the_spot(kind):
    seen, _ = views(kind, view="switch")
    passes = []
    for rows, given in training_steps(seen, 8, 5, start=2, stop=9, rank=1, size=2):
        passes.append(given.draw)
        assert len(given._prefetched_views) == len(rows) // 2
        share = np.array(sorted(given._prefetched_views))
        ours, theirs = (one.batch(share, CPU) for one in (given, seen.with_epoch(*given.draw)))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        assert not given._prefetched_views
    each = -(-len(seen) // 8)
    assert passes == [(5, step // each) for step in range(2, 9)]
    assert 0 < given.switched["switched"] < given.switched["selected"] < given.switched["words"]


def test_both_views_of_tagged_words_hold_the_same_words():
    seen, _ = views("tag", view="switch", corpus="subwords", max_length=9)
    cut = 0
    for row in range(len(seen)):
        made = seen.with_epoch(1, 0).build(row)
        count = len(made.head_inputs["labels"])
        for view in (made.original, made.noised):
            assert len(view["input_ids"]) == len(view["word"]) <= 9
            places = [at for at in view["word"] if at >= 0]
            assert sorted(set(places)) == list(range(count))
            assert places == sorted(places)
        base = row % len(seen.examples)
        gold = seen.examples.row("label", base)
        assert list(made.head_inputs["labels"]) == list(gold[:count])
        cut += count < len(gold)
    assert 0 < cut < len(seen)
    rows = np.array([0, 5, len(seen) - 1])
    batch = seen.with_epoch(1, 0).batch(rows, CPU)
    assert torch.equal(batch["real_words"], batch["labels"] != IGNORE_INDEX)
    assert batch["augmented"].tolist() == [2]


@pytest.mark.parametrize("corpus", ["subwords", "switch"])
def test_the_words_of_an_answer_stay_and_are_still_where_it_is_said(corpus):
    seen, _ = views("span", view="switch", corpus=corpus, max_length=14, switch_ratio=1,
                    subword_ratio=1)  # fmt: skip
    answered = moved = lost = 0
    for row in range(len(seen)):
        made = seen.with_epoch(1, 0).build(row)
        facts, ids = made.head_inputs, list(made.original["input_ids"])
        base = row % len(seen.examples)
        gold = int(seen.examples.scalar("start", base))
        own = ids[facts["at"] : facts["at"] + facts["count"]]
        assert len(ids) == facts["at"] + facts["count"] + 1 <= 14
        if facts["start"]:
            assert [spelled(ids[facts[name] : facts[name] + 1]) for name in ("start", "end")] == [
                "w7", "w7"]  # fmt: skip
            answered, moved = answered + 1, moved + (facts["start"] != gold)
        else:
            lost += gold > 0
            assert not gold or row >= len(seen.examples)
        kept = [t for t, s in zip(ids, made.shared, strict=True) if s]
        theirs = zip(made.noised["input_ids"], made.noised_shared, strict=True)
        assert kept == [t for t, s in theirs if s]
        assert made.shared[0]
        assert not any([*made.shared[1 : facts["at"]], made.shared[-1]])
        if facts["start"] and len(made.noised["input_ids"]) < 14:
            assert made.shared[facts["start"]]
        assert len(own) == facts["count"]
    assert answered > 10
    assert moved > 0 or corpus == "switch"
    assert lost > 0 or corpus == "switch"


@pytest.mark.parametrize("kind", KINDS)
def test_copies_that_are_translations(kind):
    view = "translation" if kind == "classify" else "subwords"
    seen, _ = views(kind, view=view, corpus="translation")
    pass_, size = seen.with_epoch(1, 0), len(seen.examples)
    for row in range(size, 2 * size):
        made, base = pass_.build(row), seen.examples.table["id"][row - size].as_py()
        english = seen.examples.row("input_ids", row - size).tolist()
        if not int(base) % 3:
            assert (list(made.original["input_ids"]) == english) == (kind != "span")  # any other's
            continue
        if kind == "classify":
            one, two = (spelled(part) for part in _texts(made.original["input_ids"]))
            source = TOYS[kind][1]()[int(base)]
            wanted = ("".join(reversed(source[name].split())) for name in ("one", "two"))
            assert (one, two) == tuple(wanted)
            # What is a translation already has the English text beside it.
            assert list(made.noised["input_ids"]) == english
        if kind == "tag":
            assert set(made.head_inputs["labels"]) == {IGNORE_INDEX}
    rows = np.arange(2 * size)
    counts = pass_.loss_counts(rows)
    if kind == "tag":
        assert counts["units"] == seen.examples.units.sum()
        assert counts["compared"] == 2 * counts["units"]
        assert counts["augmented"] == counts["units"]
    else:
        assert counts == {"units": 2 * size, "compared": 2 * size, "augmented": size}


def _texts(ids):
    """The two texts of a row."""
    ids = list(map(int, ids))
    first = ids.index(3)
    return ids[1:first], ids[first + 1 : -1]


@pytest.mark.parametrize("length", [8, 9, 12, 15])
def test_a_pair_is_cut_as_the_tokenizer_cuts_it(length):
    seen, _ = views("classify", max_length=length)
    do, tokenizer = seen._builder.operations, toy_unigram()
    for row in pairs(60):
        texts = [do.pieces.of(row[name].split()) for name in ("one", "two")]
        whole = tokenizer(row["one"], row["two"], truncation="longest_first", max_length=length)
        ids, first = do.pair(texts)
        assert ids == whole["input_ids"]
        assert [0] * first + [1] * (len(ids) - first) == whole["token_type_ids"]


# What is learned.


CONTRACT = [
    ("classify", {}), ("classify", {"view": "translation", "corpus": "translation"}),
    ("classify", {"view": "noise", "noise_size": 0, "corpus": "switch"}),
    ("tag", {}), ("tag", {"corpus": "translation", "hard_labels": True}),
    ("span", {}), ("span", {"view": "switch", "corpus": "translation"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "given"), CONTRACT)
@pytest.mark.parametrize(("limit", "world"), [(60, 1), (2**20, 2), (90, 3)])
def test_neither_the_cut_nor_the_workers_change_the_gradient(pretrained, kind, given, limit, world):
    planned = job(kind, **STILL, max_length=40, **given)
    source = pretrained(kind, planned.hyper)
    teacher = ReusableModel(CPU).model(source, planned.hyper, 9).double().eval()
    rows = np.array([3, 27, 4, 30, 8, 33, 2])
    planned = replace(planned, train=planned.train.with_epoch(1, 0))
    ours, whole = (
        gradients(source, planned, rows, limit=cut, world=size, teacher=teacher)
        for cut, size in ((limit, world), (2**20, 1))
    )
    assert any(gradient.abs().max() > 1e-6 for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_switched_off_it_is_plain_fine_tuning(pretrained, kind):
    """Bit for bit, the random numbers of dropout among them."""
    off = {"lambda1": 0, "lambda2": 0, "corpus": None}
    planned = job(kind, **off)
    assert isinstance(planned.train, EncodedDataset)
    plain = RECIPES["finetune"]
    fields = set(plain.hyper.model_fields) & planned.hyper.model_fields_set
    hyper = plain.hyper(**{name: getattr(planned.hyper, name) for name in fields})
    other = replace(planned, hyper=hyper, stage=plain.stages[0])
    weights = []
    for one in (planned, other):
        fit = Trainer(one, ReusableModel(CPU).model(pretrained(kind, one.hyper), one.hyper, 1))
        list(fit)
        weights.append(export_weights(fit.model))
    assert_same(*weights)


def test_the_loss_is_its_formula(pretrained):
    """Classes: cross entropy + lambda1 R1 + lambda2 R2, each written out."""
    planned = job("classify", **STILL, lambda1=3, lambda2=2, view="switch", corpus="subwords")
    source = pretrained("classify", planned.hyper)
    model = ReusableModel(CPU).model(source, planned.hyper, 1).double().train()
    teacher = ReusableModel(CPU).model(source, planned.hyper, 2).double().eval()
    rows = np.array([3, 27, 4, 30])
    batch = planned.train.with_epoch(1, 0).batch(rows, CPU)
    terms = {}
    loss = planned.stage.loss(model, batch, planned.hyper, None, teacher, terms)
    own = {n: batch[n] for n in ("input_ids", "token_type_ids", "attention_mask")}
    p = model(**own).logits.softmax(-1)
    q = model(**batch["noised"]).logits.softmax(-1)
    t = teacher(**own).logits.softmax(-1)
    nll = functional.nll_loss(p.log(), batch["labels"])
    both = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    copies = [1, 3]
    taught = (t[copies] * (t[copies] / p[copies]).log()).sum()
    wanted = nll + 3 * both / (4 * 2) + 2 * taught / (2 * 2)
    torch.testing.assert_close(loss, wanted)
    told = {"task": nll, "R1": both / (4 * 2), "R2": taught / (2 * 2)}
    torch.testing.assert_close(terms, {name: term.detach() for name, term in told.items()})
    assert not torch.allclose(p, q)


def test_noise_is_in_the_embeddings_of_one_pass_alone(pretrained):
    planned = job("classify", **STILL, view="noise", noise="normal", noise_size=0.5, stages=1)
    assert not planned.hyper.view_kinds()
    model = (
        ReusableModel(CPU).model(pretrained("classify", planned.hyper), planned.hyper, 1).double()
    )
    batch = planned.train.collate(np.arange(6))
    before = model_outputs(model, batch)
    torch.manual_seed(1)
    loss = planned.stage.loss(model, batch, planned.hyper)
    plain = functional.cross_entropy(before, batch["labels"])
    assert loss > plain + 1e-6
    torch.testing.assert_close(model_outputs(model, batch), before, rtol=0, atol=0)
    still = planned.hyper.model_copy(update={"noise_size": 0.0})
    torch.testing.assert_close(planned.stage.loss(model, batch, still), plain)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_over_two_views_does_not_wait_for_the_device(pretrained, kind):
    planned = job(kind, stages=1, EPOCH=2, view="switch")
    model = ReusableModel(CPU).model(pretrained(kind, planned.hyper), planned.hyper, 1)
    trainer, rows = Trainer(planned, model.train()), np.arange(8)
    trainer.gradient.unpadded = None  # as on a GPU
    for step in range(3):  # the first one looks which parameters get a gradient
        with Waits() as waits:
            trainer._train(rows, planned.train.with_epoch(1, step))
        trainer.step = step + 1
    assert waits.found == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_toy_is_learned_in_both_stages(pretrained, kind):
    taught = {"stages": 2, "EPOCH": 3, "view": "switch"}
    first = job(kind, **{**taught, "stages": 1, "EPOCH": 6})
    source = pretrained(kind, first.hyper)
    one = Trainer(first, ReusableModel(CPU).model(source, first.hyper, 1))
    *_, report = one
    assert report.stage == "stage 1"
    assert report.loss < 2 * report.step  # finite
    before = export_weights(one.model)
    second = job(kind, **taught)
    assert len(second.train) == 2 * len(first.train)
    teacher = one.model.eval().requires_grad_(False)
    two = Trainer(second, ReusableModel(CPU).model(source, second.hyper, 1), teacher=teacher)
    reports = list(two)
    assert reports[-1].stage == "stage 2"
    assert reports[-1].loss < reports[0].loss
    assert_same(export_weights(teacher), before)
    assert not teacher.training


# Which teacher.


def test_trials_that_differ_in_what_the_first_stage_does_not_see_share_it():
    one = teacher_configuration(
        STABLE.hyper(lambda2=5, hard_labels=True, corpus="switch", switch_ratio=0.3)
    )
    assert (
        one
        == teacher_configuration(STABLE.hyper(lambda2=1, corpus_size=2, noise_size=1))
        == {"stages": 1}
    )
    other = STABLE.hyper(
        LR=3e-5, teacher_LR=1e-5, view="subwords", teacher_view="switch", switch_ratio=0.5,
        subword_ratio=0.9, EPOCH={"steps": 9}, teacher_EPOCH=4,
    )  # fmt: skip
    assert teacher_configuration(other) == {
        "stages": 1, "LR": 1e-5, "EPOCH": 4, "view": "switch", "switch_ratio": 0.5,
    }  # fmt: skip
    assert STABLE.hyper(**teacher_configuration(other)).view_kinds() == {"switch"}
    assert other.view_kinds() == {"subwords", "switch"}


@pytest.mark.parametrize(
    "given", [{"stages": 1}, {"lambda2": 0}, {"corpus": None}, {"teacher": "runs/one/panx/best"}]
)
def test_some_trials_need_no_teacher_to_be_trained(given):
    assert teacher_configuration(STABLE.hyper(**given)) is None


# What goes wrong.


@pytest.mark.slow
def test_a_maker_of_views_that_is_killed_is_replaced():
    seen, _ = views("tag", view="switch")
    whole = [
        given.batch(rows, CPU)["noised"]
        for rows, given in training_steps(seen, 8, 5, start=0, stop=12)
    ]
    killed = []
    for step, (rows, given) in enumerate(training_steps(seen, 8, 5, start=0, stop=12)):
        torch.testing.assert_close(given.batch(rows, CPU)["noised"], whole[step], rtol=0, atol=0)
        if step == 0:
            killed = multiprocessing.active_children()
            for maker in killed:
                maker.kill()
    assert len(killed) == 1


def test_a_context_without_tokens_has_no_view_and_a_short_one_has():
    hyper = settings(view="switch", corpus="subwords")
    rows = [{"id": "1", "question": "w1 w2", "context": text, "answers": (), "label": None}
            for text in ("", "  ", "w4")]  # fmt: skip
    seen = AugmentedDataset(
        EncodedDataset(*table("span", hyper, rows)), hyper, material("span", hyper)
    )
    batch = seen.with_epoch(1, 0).batch(np.arange(len(seen)), CPU)
    assert batch["start"].tolist() == [0] * 2  # the row with a token, and its copy
    assert batch["shared_tokens"].sum() >= 2


@pytest.mark.parametrize(
    ("task", "fixed", "said"),
    [
        ("xtreme/panx", {"view": "translation"}, "the words of a translation are not aligned"),
        ("xtreme/xnli", {"view": "noise", "compile": True}, "would not see the noise"),
        ("xtreme/mlqa", {"span_head": "conditional"}, "plain"),
        ("glue/stsb", {}, "'stabletune' does not train glue/stsb"),
    ],
)
def test_what_cannot_be_so_is_refused(task, fixed, said):
    raw = {"tasks": [task], "model": "scratch", "recipe": "stabletune", "fixed": fixed}
    with pytest.raises(InputError, match=said):
        study.parse(raw)


def test_what_changes_nothing_cannot_be_searched():
    space = {"lambda2": {"choice": [1, 2]}, "switch_ratio": {"choice": [0.3, 0.5]}}
    raw = {"tasks": ["xtreme/panx"], "model": "scratch", "recipe": "stabletune", "space": space}
    with pytest.raises(InputError, match=r"space.switch_ratio +the other values do not use it"):
        study.parse(raw)
    one = {**raw, "fixed": {"stages": 1, "view": "switch"}}
    with pytest.raises(InputError, match=r"space.lambda2 +the other values do not use it"):
        study.parse(one)


def test_the_windows_of_a_question_are_those_of_one_translation():
    """Of two translations of a question, of two windows and of one, each is as likely."""
    hyper = settings(corpus="translation", max_length=12, doc_stride=4)
    rows = [{"id": "q", "question": "w1", "context": words(np.random.default_rng(1), 12),
             "answers": (), "label": None}]  # fmt: skip
    short = {**rows[0], "context": "w3 w4"}
    (one, padding), (two, _) = (table("span", hyper, found) for found in (rows, [short]))
    other = table("span", hyper, [{**short, "id": "x"}])[0]
    pool = pa.concat_tables([one, other, two]).combine_chunks()
    found = np.array([*range(len(one)), len(one) + 1])
    candidates = np.arange(len(one) + 1) * len(found), np.tile(found, len(one))
    given = {"tokenizer": toy_unigram(), "dictionaries": {}, "candidates": candidates}
    seen = AugmentedDataset(EncodedDataset(one, padding), hyper, {**given, "pool": (pool, padding)})
    drawn = []
    for number in range(200):
        pass_ = seen.with_epoch(1, number)
        drawn.append(tuple(pass_._draw_translations(len(one) + at)[0] for at in range(len(one))))
    assert len(one) > 1
    assert set(drawn) == {tuple(range(len(one))), (len(one) + 1,) * len(one)}
    assert 60 < drawn.count(drawn[0]) < 140
