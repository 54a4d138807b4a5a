"""Options, tags and spans: what is read, what is learned and what is answered. All of it toys."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.head_toys import CPU, SPAN, TAG, job, prepared
from support.toys import in_two_processes, toy_tokenizer
from support.trials import gradients
from tokenizers.processors import RobertaProcessing
from torch import nn

from raysearch.data.dataset import EncodedDataset
from raysearch.heads import HEADS
from raysearch.models import ReusableModel
from raysearch.models.finetuned import load_finetuned
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.models.saving import save_model
from raysearch.recipes import RECIPES, Hyperparameters
from raysearch.training import (
    DistributedContext,
    Trainer,
    predict_outputs,
)

STILL = {"dropout": 0, "attention_dropout": 0, "classifier_dropout": 0}


VARIANTS = [
    ("choose", {}), ("choose", {"segments": "passage_first"}), ("cloze", {}),
    ("tag", {}), ("tag", {"pooling": "sum"}),
    ("span", {}), ("span", {"span_head": "conditional"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), VARIANTS)
@pytest.mark.parametrize(("limit", "world"), [(2**20, 1), (60, 1), (2**20, 2), (90, 3)])
def test_neither_the_cut_nor_the_workers_change_the_gradient(
    pretrained, kind, settings, limit, world
):
    made = job(kind, **STILL, **settings)
    given = pretrained(kind, made.hyper)
    model = ReusableModel(CPU).model(given, made.hyper, 1).double().train()
    if kind == "span" and settings:
        assert model.qa_outputs.dropout.p == 0
    rows = np.array([3, 17, 4, 21, 8, 11, 2])
    made.stage.loss(model, made.train.collate(rows), made.hyper).backward()
    whole = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    ours = gradients(given, made, rows, limit=limit, world=world)
    assert ours.keys() == whole.keys()
    assert any(gradient.abs().max() > 1e-6 for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), VARIANTS)
def test_a_head_learns_its_toy_and_a_saved_folder_says_the_same(
    pretrained, kind, settings, tmp_path
):
    made = job(kind, EPOCH=60, LR=3e-3, **settings)
    given = pretrained(kind, made.hyper)
    fit = Trainer(replace(made, keep_best=True), ReusableModel(CPU).model(given, made.hyper, 1))
    *_, last = fit
    metric = f"dev.{made.task.metric}"
    assert last.status == "finished"
    assert last.scores[metric] > 0.8, last.scores
    save_model(tmp_path / "best", given, fit.best[1])
    model = load_finetuned(tmp_path / "best", made.task, CPU)
    dev = made.dev["dev"]
    said = predict_outputs(model, dev, made.task, made.hyper, autocast=torch.no_grad)
    predictions = HEADS[kind].decode(said, dev, made.hyper)
    found = HEADS[kind].score(predictions, dev, made.task, made.hyper)
    assert found[made.task.metric] == pytest.approx(fit.best[0])
    assert {f"dev.{name}" for name in found} == set(last.scores)


def trained(given, made, world=None):
    """What a trained model scored and says of every dev example."""
    model = ReusableModel(CPU).model(given, made.hyper, 1)
    *_, last = Trainer(made, model, world=world)
    said = predict_outputs(model, made.dev["dev"], made.task, made.hyper, autocast=torch.no_grad)
    return {**last.scores, "said": np.nan_to_num(said, neginf=-99)}


def work(given, made):
    """One of two workers."""
    return trained(given, made, DistributedContext.current())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "settings"), [VARIANTS[0], VARIANTS[3], VARIANTS[5]])
def test_two_workers_predict_what_one_does(pretrained, kind, settings, tmp_path):
    made = job(kind, BSZ=7, LR=1e-3, micro_batch_tokens=64, **STILL, **settings)
    given = pretrained(kind, made.hyper)
    both = in_two_processes(work, tmp_path / "meeting", given, made)
    alone = trained(given, made)
    for found in both:
        assert found.keys() == alone.keys()
        for name, array in alone.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-2, atol=1e-3, err_msg=name)


@pytest.mark.slow
def test_padding_and_batches_change_no_answer(pretrained):
    for kind, settings in VARIANTS:
        made = job(kind, **settings)
        model = ReusableModel(CPU).model(pretrained(kind, made.hyper), made.hyper, 1)
        dev = made.dev["dev"]
        whole = predict_outputs(model, dev, made.task, made.hyper, autocast=torch.no_grad)
        for row in range(0, len(dev), 5):
            lone = EncodedDataset(
                dev.table.slice(row * dev.group, dev.group).combine_chunks(), dev.padding
            )
            alone = predict_outputs(model, lone, made.task, made.hyper, autocast=torch.no_grad)[0]
            known = np.isfinite(alone)
            np.testing.assert_allclose(
                whole[row][: len(alone)][known], alone[known], rtol=1e-4, atol=1e-4
            )


def test_options_are_read_as_fairseq_reads_them():
    tokenizer = toy_tokenizer()
    example = {"id": "0", "passage": "w10 w11 w12", "question": "w1 ___ w2",
               "options": ("w3", "w4 w5"), "label": 1}  # fmt: skip

    def text(row, **settings):
        made = prepared("choose", Hyperparameters(**settings), rows=[example, example, example])
        return tokenizer.decode(made.values("input_ids")[row])

    assert text(0) == "[CLS] w1 w3 w2 [SEP] w10 w11 w12 [SEP]"
    assert text(1) == "[CLS] w1 w4 w5 w2 [SEP] w10 w11 w12 [SEP]"
    assert text(1, max_length=8) == "[CLS] w1 w4 w5 w2 [SEP] w10 w11"
    last = text(1, segments="passage_first", max_length=9)
    assert last == "[CLS] w10 w11 [SEP] w1 w4 w5 w2 [SEP]"
    del example["question"]
    assert text(1, segments="passage_first") == "[CLS] w10 w11 w12 [SEP] w4 w5 [SEP]"


def test_one_separator_stands_between_question_and_option_of_fairseqs_commonsense_qa():
    """Its row is <s> Q: question </s> A: option </s>, without RoBERTa's second </s>."""
    tokenizer = toy_tokenizer()
    special = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("[SEP]", "[CLS]")]
    tokenizer.backend_tokenizer.post_processor = RobertaProcessing(*special)
    example = {"id": "0", "passage": "w10 w11", "options": ("w3", "w4 w5"), "label": 1}
    texts = {}
    for segments in ("passage_first", "one_separator"):
        hyper = Hyperparameters(segments=segments)
        made = prepared("choose", hyper, tokenizer=tokenizer, rows=[example, example, example])
        texts[segments] = tokenizer.decode(made.values("input_ids")[1])
    assert texts == {
        "passage_first": "[CLS] w10 w11 [SEP] [SEP] w4 w5 [SEP]",
        "one_separator": "[CLS] w10 w11 [SEP] w4 w5 [SEP]",
    }


@pytest.mark.slow
def test_pooling_sums_the_tokens_of_a_word(toy_folder):
    folder = str(toy_folder("bert"))
    for pooling in ("first", "sum"):
        hyper = Hyperparameters(pooling=pooling, **STILL)
        given = read_pretrained(folder, TAG, read_tokenizer(folder, ()), hyper)
        model = ReusableModel(CPU).model(given, hyper, 1).eval()
        batch = {"input_ids": torch.tensor([[2, 7, 8, 9, 3]]),
                 "attention_mask": torch.ones(1, 5, dtype=torch.int64)}  # fmt: skip
        words = {"word": torch.tensor([[-1, 0, 0, 1, -1]]), "word_starts": torch.tensor([[1, 3]])}
        with torch.no_grad():
            hidden = model.base_model(**batch)[0][0]
            first = hidden[1] + hidden[2] if pooling == "sum" else hidden[1]
            wanted = model.classifier(torch.stack([first, hidden[3]]))
            torch.testing.assert_close(model(**words, **batch).logits[0], wanted)


def test_where_a_study_says_so_neither_question_nor_separator_has_a_part_in_a_span(pretrained):
    """AMOS: the probabilities are over [CLS] and the context alone."""
    hyper = Hyperparameters(span_over="context", max_length=16, doc_stride=4, **STILL)
    made = prepared("span", hyper)
    model = ReusableModel(CPU).model(pretrained("span", hyper), hyper, 3).double().eval()
    rows, total = [1, 2, 5, 9], 0.0
    ours = RECIPES["finetune"].stages[0].loss(model, made.collate(rows), hyper).item()
    for row in rows:
        one = made.collate([row])
        inputs = {n: one[n] for n in ("input_ids", "token_type_ids", "attention_mask")}
        scores = model.qa_outputs(model.base_model(**inputs)[0][0])
        at, count = int(one["at"][0]), int(one["count"][0])
        positions = [0, *range(at, at + count)]
        for column, name in enumerate(("start", "end")):
            chances = scores[positions, column].log_softmax(0)
            total -= chances[positions.index(int(one[name][0]))].item() / 2
    assert ours == pytest.approx(total / len(rows), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["plain", "conditional"])
@pytest.mark.parametrize("over", ["all", "context"])
@pytest.mark.parametrize("blank", [("1",), ("0", "1", "2")])
def test_a_question_whose_context_has_no_token_gets_the_empty_answer(pretrained, head, over, blank):
    hyper = Hyperparameters(span_head=head, span_over=over, max_length=16, doc_stride=4, **STILL)
    texts = {"0": "w7 w8", "1": "w7 w9 w10", "2": "w11 w12"}
    rows = [
        {"id": name, "question": "w1" if name != "2" else " ", "label": None,
         "context": " " if name in blank else text, "answers": (("w7", 0),)}
        for name, text in texts.items()
    ]  # fmt: skip
    dev = prepared("span", hyper, train=False, rows=rows)
    model = ReusableModel(CPU).model(pretrained("span", hyper), hyper, 1)
    arrays = predict_outputs(model, dev, SPAN, hyper, autocast=torch.no_grad)
    answers = HEADS["span"].decode(arrays, dev, hyper)
    assert {name for name, answer in answers.items() if answer.texts == ("",)} == set(blank)
    assert all(np.isfinite(answer.null) for answer in answers.values())
    scores = HEADS["span"].score(answers, dev, replace(SPAN, metric="f1", extra_metrics=()), hyper)
    assert np.isfinite(scores["f1"])


def test_the_conditional_head_is_its_published_formulas(pretrained):
    """One example at a time, in plain loops and float64."""
    hyper = Hyperparameters(span_head="conditional", max_length=16, doc_stride=4, **STILL)
    made = prepared("span", hyper)
    model = ReusableModel(CPU).model(pretrained("span", hyper), hyper, 3).double().eval()
    rows = [1, 2, 5, 9]
    batch = made.collate(rows)
    ours = RECIPES["finetune"].stages[0].loss(model, batch, hyper).item()
    head, total = model.qa_outputs, 0.0
    for row in rows:
        one = made.collate([row])
        inputs = {n: one[n] for n in ("input_ids", "token_type_ids", "attention_mask")}
        hidden = model.base_model(**inputs)[0][0]
        at, count = int(one["at"][0]), int(one["count"][0])
        positions = [0, *range(at, at + count)]
        start = torch.stack(
            [head.start(hidden[position])[0] for position in positions]
        ).log_softmax(0)
        first, last = int(one["start"][0]), int(one["end"][0])
        end = []
        for position in positions:
            inner = torch.tanh(head.end_inner(torch.cat([hidden[first], hidden[position]])))
            normed = nn.functional.layer_norm(
                inner, (768,), head.end_norm.weight, head.end_norm.bias, 1e-12
            )
            end.append(head.end(normed)[0])
        end = torch.stack(end).log_softmax(0)
        seen = sum(p.exp() * hidden[position] for p, position in zip(start, positions, strict=True))
        answer = head.answer(torch.tanh(head.answer_inner(torch.cat([seen, hidden[0]]))))
        answer = answer.log_softmax(0)[int(one["impossible"][0])]
        total -= (start[positions.index(first)] + end[positions.index(last)]).item() / 2
        total -= 0.5 * answer.item()
    assert ours == pytest.approx(total / len(rows), abs=1e-5)


def test_options_that_stay_at_chance_end_the_trial_early(pretrained, monkeypatch):
    """The loss stays at ln K, as in the runs on RACE that its users tell of."""
    monkeypatch.setattr("raysearch.training.trainer.CHANCE_STEPS", 5)
    made = job("choose", EPOCH=20, LR=1e-12, evaluations=10, WARMUP=0)
    model = ReusableModel(CPU).model(pretrained("choose", made.hyper), made.hyper, 1)
    torch.nn.init.zeros_(model.classifier.weight)
    *_, last = Trainer(made, model)
    assert last.loss == pytest.approx(np.log(3), rel=0.01)
    assert last.status == "degenerate"
    assert last.step <= 12 < made.schedule.steps


@pytest.mark.slow
def test_a_slow_start_is_not_chance(pretrained, monkeypatch):
    monkeypatch.setattr("raysearch.training.trainer.CHANCE_STEPS", 5)
    made = job("choose", EPOCH=60, LR=3e-3, evaluations=20)
    *_, last = Trainer(
        made, ReusableModel(CPU).model(pretrained("choose", made.hyper), made.hyper, 1)
    )
    assert last.status == "finished"
