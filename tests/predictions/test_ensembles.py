"""Several models predict together: the mean of their scores, computed here by hand from their
folders, is what is written; each of them scores what its trial has in the journal."""

import json
import shutil

import numpy as np
import pytest
import torch
from support.small_data import SETTINGS, TASKS, write_data
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)
from typer.testing import CliRunner

import raysearch
from raysearch import tasks
from raysearch.cli.commands import app
from raysearch.data import encoding_cache
from raysearch.data.dataset import EncodedDataset
from raysearch.data.readers import registry
from raysearch.errors import InputError
from raysearch.heads import HEADS
from raysearch.models import finetuned
from raysearch.models.pretrained import read_tokenizer
from raysearch.predictions.ensemble_prediction import plain_text, predict_ensemble
from raysearch.predictions.prediction import predict
from raysearch.predictions.scoring import score
from raysearch.results.leaderboard import leaderboard
from raysearch.run_folder import read_journal

pytestmark = pytest.mark.slow  # real runs

RTE, SQUAD = "glue/rte", "squad/v2.0"
KEEP = {"keep_weights": "confirmed"}


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        predict_ensemble(*arguments, **options)
    return {problem.location: problem.text for problem in caught.value.problems}


def members(run, task):
    """Return the folders of a task's two seeds, the one in best/ first."""
    (other,) = (run / tasks.get(task).slug / "seeds").iterdir()
    return [run / tasks.get(task).slug / "best", other]


def written(paths, task):
    """Return the predictions in the file of the first dev split."""
    path = next(path for path in paths if path.stem not in ("nbest_predictions", "null_odds"))
    if path.suffix == ".json":
        return json.loads(next(p for p in paths if p.stem == "answers").read_text())
    lines = path.read_text().splitlines()
    if task == "xtreme/panx":
        return lines
    return [line.split("\t")[1] for line in lines if not line.startswith("index")]


# The mean of the scores, by hand: transformers' own classes on texts that are encoded one by one.


def both(folders, kind):
    return [kind.from_pretrained(folder).eval() for folder in folders]


@torch.no_grad()
def mean_logits(models, **inputs):
    """Return the mean of the models' logits, in double precision."""
    return torch.stack([model(**inputs).logits.double() for model in models]).mean(0)


def classes_by_hand(folders, task, examples, tokenizer):
    models = both(folders, AutoModelForSequenceClassification)
    for example in examples:
        texts = [example[name] for name in task.inputs]
        logits = mean_logits(models, **tokenizer(*texts, return_tensors="pt"))
        yield task.labels[int(logits.argmax())] if task.labels else float(logits)


def options_by_hand(folders, task, examples, tokenizer):
    models = both(folders, AutoModelForMultipleChoice)
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    for example in examples:
        scores = []
        for option in example["options"]:
            question = example["question"]
            text = question.replace("_", option) if "_" in question else f"{question} {option}"
            first, second = (
                tokenizer(part, add_special_tokens=False)["input_ids"]
                for part in (" ".join(text.split()), example["passage"])
            )
            head = [begin, *first, end][: SETTINGS["race/middle"]["qa_length"]]
            if end not in head:
                head[-1] = end
            types = [0] * len(head) + [1] * (len(second) + 1)
            ids = torch.tensor([[[*head, *second, end]]])
            inputs = {
                "token_type_ids": torch.tensor([[types]]),
                "attention_mask": ids.ne(-1).long(),
            }
            scores.append(mean_logits(models, input_ids=ids, **inputs).item())
        yield str(int(np.argmax(scores)))


def tags_by_hand(folders, task, examples, tokenizer):
    models = both(folders, AutoModelForTokenClassification)
    for row, example in enumerate(examples):
        inputs = tokenizer(list(example["words"]), is_split_into_words=True, return_tensors="pt")
        words = inputs.word_ids()
        logits = mean_logits(models, **inputs)[0]
        if row:
            yield ""
        for word in range(len(example["words"])):
            yield task.labels[int(logits[words.index(word)].argmax())]


@torch.no_grad()
def answers_by_hand(folders, task, examples, tokenizer):
    """Return question -> the best span of a context that fits into one window."""
    models, answers = both(folders, AutoModelForQuestionAnswering), {}
    for example in examples:
        inputs = tokenizer(example["question"], example["context"], return_tensors="pt",
                           return_offsets_mapping=True)  # fmt: skip
        offsets, parts = inputs.pop("offset_mapping")[0], inputs.sequence_ids()
        outputs = [model(**inputs) for model in models]
        start = torch.stack([x.start_logits[0].double() for x in outputs]).mean(0)
        end = torch.stack([x.end_logits[0].double() for x in outputs]).mean(0)
        places = [place for place, part in enumerate(parts) if part == 1]
        spans = [(float(start[i] + end[j]), i, j) for i in places for j in places if i <= j]
        _, first, last = max(spans)
        text = example["context"][offsets[first][0] : offsets[last][1]]
        answers[example["id"]] = text.strip()
    return answers


BY_HAND = {
    "glue/rte": classes_by_hand, "glue/mnli": classes_by_hand, "glue/stsb": classes_by_hand,
    "race/middle": options_by_hand, "xtreme/panx": tags_by_hand, SQUAD: answers_by_hand,
}  # fmt: skip


@pytest.mark.parametrize("task", BY_HAND)
def test_what_is_written_is_the_mean_of_the_models_and_each_scores_as_in_the_journal(
    local_run, tmp_path, task
):
    run, data = local_run(task, search=KEEP)
    row, folders = tasks.get(task), members(run, task)
    result = predict_ensemble(run, count=2, to=tmp_path / "out", split="dev")
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    examples = list(registry.read(row, row.dev[0], data))
    expected = BY_HAND[task](folders, row, examples, tokenizer)
    found = written(result.files, task)
    if task == "glue/stsb":
        assert [*map(float, found)] == pytest.approx([*expected], abs=1e-5)
    elif task == SQUAD:
        assert found == expected
    else:
        assert found == [*expected]
    leader = leaderboard(raysearch.load(run / "study.yaml").resolve(task), read_journal(run))[0]
    assert {each.ensemble.name for each in result.scores} == {*leader.scores}
    for each in result.scores:
        name = each.ensemble.name
        journal = {f"seed {record.seed}": record.best[name] for record in leader.trials}
        assert each.members == pytest.approx(journal, abs=1e-6)
        assert each.printed.value == leader.scores[name]
        if ".gap." not in name:
            assert each.ensemble.low <= each.ensemble.value <= each.ensemble.high
    own = score(task, data, result.files[0]).scores if task in (RTE, "race/middle") else {}
    for name, value in own.items():  # the score is that of the file
        assert {s.ensemble.name: s.ensemble.value for s in result.scores}[f"dev.{name}"] == value


@pytest.mark.parametrize("task", [*TASKS, "conditional"])
def test_a_model_beside_its_copy_predicts_what_it_predicts_alone(local_run, tmp_path, task):
    fixed = {"span_head": "conditional"} if task == "conditional" else {}
    task = SQUAD if task == "conditional" else task
    run, data = local_run(task, **fixed)
    best, copy = run / tasks.get(task).slug / "best", tmp_path / "copy"
    shutil.copytree(best, copy)
    options = {"data": data, "names": [task], "split": "dev"}
    alone = predict(best, to=tmp_path / "alone", **options)
    result = predict_ensemble([best, copy], count=2, to=tmp_path / "both", **options)
    for one, other in zip(alone, result.files, strict=True):
        assert one.name == other.name
        if one.stem in ("nbest_predictions", "null_odds"):
            for first, second in zip(*(json.loads(p.read_text()).values() for p in (one, other)),
                                     strict=True):  # fmt: skip
                texts = [[x["text"] for x in v] if isinstance(v, list) else v
                         for v in (first, second)]  # fmt: skip
                assert texts[0] == pytest.approx(texts[1], abs=1e-5)
        else:
            assert one.read_text() == other.read_text()
    for each in result.scores:
        assert {each.ensemble.value} == {*each.members.values()}
        assert each.printed is None


def test_the_conditional_heads_mean_is_that_of_the_ends_given_the_best_mean_starts(
    local_run, tmp_path
):
    run, data = local_run(SQUAD, search=KEEP, span_head="conditional", beam=3)
    row, folders = tasks.get(SQUAD), members(run, SQUAD)
    result = predict_ensemble(run, count=2, to=tmp_path / "out", split="dev")
    files = {path.stem: json.loads(path.read_text()) for path in result.files}
    hyper = finetuned.read_record(folders[0]).hyper
    assert (hyper.span_head, hyper.beam) == ("conditional", 3)
    models = [finetuned.load_finetuned(folder, row, torch.device("cpu")) for folder in folders]
    tokenizer = read_tokenizer(str(folders[0]), ())
    prepared = encoding_cache.prepare(
        HEADS["span"].encoder, row, row.dev[0], data, tokenizer, hyper
    )
    examples = EncodedDataset(prepared.table, prepared.padding)
    contexts = prepared.table.column("context").to_pylist()
    gold = ("start", "end", "impossible", "labels")
    with torch.no_grad():
        for index, identity in enumerate(examples.ids()):
            batch = {n: x for n, x in examples.collate([index]).items() if n not in gold}
            outputs = [model(**batch) for model in models]
            every = torch.arange(outputs[0].start.shape[1])[None]
            start = torch.stack([x.start[0].double() for x in outputs]).mean(0)
            ends = torch.stack([x.ends(every)[0].double() for x in outputs]).mean(0)
            has = torch.stack([x.answerable[0].double() for x in outputs]).mean(0)
            places = outputs[0].context[0].nonzero()[:, 0].tolist()
            beam = sorted(places, key=lambda place: -start[place])[:3]
            spans = [
                (float(start[i] + ends[i, j]), i, j)
                for i in beam
                for j in sorted(places, key=lambda place: -ends[i, place])[:3]
                if i <= j
            ]
            assert files["null_odds"][identity] == pytest.approx(float(has[1] - has[0]), abs=1e-5)
            if not spans:
                continue
            _, first, last = max(spans)
            begin, stop = examples.values("begin")[index], examples.values("stop")[index]
            text = contexts[index][int(begin[first - places[0]]) : int(stop[last - places[0]])]
            assert files["answers"][identity] == text.strip()


@pytest.mark.parametrize("task", [RTE, "glue/stsb", "xtreme/panx", SQUAD])
def test_the_order_of_the_models_changes_nothing(local_run, tmp_path, task):
    run, data = local_run(task, search=KEEP)
    folders = members(run, task)
    options = {"count": 2, "data": data, "names": [task], "split": "dev"}
    one = predict_ensemble(folders, to=tmp_path / "one", **options)
    other = predict_ensemble(folders[::-1], to=tmp_path / "other", **options)
    for first, second in zip(one.files, other.files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    for first, second in zip(one.scores, other.scores, strict=True):
        assert first.ensemble == second.ensemble
        assert first.members == second.members


def test_without_kept_weights_it_is_said_which_field_keeps_them(local_run, tmp_path):
    run, _ = local_run(RTE)
    text = refusal(run, count=2, to=tmp_path / "out")[RTE]
    assert "2 models asked for, and weights of 1 of its 2 seeds are there (seed 1" in text
    assert "`search: {keep_weights: confirmed}`" in text
    assert not (tmp_path / "out").exists()


def test_more_models_than_there_are_and_fewer_than_two_are_refused(local_run, tmp_path):
    run, data = local_run(RTE, search=KEEP)
    out = tmp_path / "out"
    text = refusal(run, count=3, to=out)[RTE]
    assert "weights of 2 of its 2 seeds" in text
    assert "--ensemble 2 would do" in text
    assert "2 or more" in refusal(run, count=1, to=out)["--ensemble"]
    best, other = members(run, RTE)
    options = {"data": data, "names": [RTE], "to": out}
    assert "is one model" in refusal(best, count=2, **options)["--ensemble"]
    assert "3 models of 2 folders" in refusal([best, other], count=3, **options)["--ensemble"]
    assert "more than once" in refusal([best, best], count=2, **options)["--ensemble"]
    assert "a run folder stands alone" in refusal([run, other], count=2, **options)["source"]
    assert "--tasks and --data" in refusal([best, other], count=2, to=out)["tasks"]


def test_a_seed_whose_folder_is_a_link_is_not_followed(local_run, tmp_path):
    run, _ = local_run(RTE, search=KEEP)
    _, other = members(run, RTE)
    other.rename(tmp_path / "elsewhere")
    other.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="link"):
        predict_ensemble(run, count=2, to=tmp_path / "out")


def other_tokens(folder, copy):
    """A copy of a folder whose tokenizer makes other tokens of the same texts."""
    shutil.copytree(folder, copy)
    path = copy / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    pieces = [t for t in vocabulary if len(t.removeprefix("##")) > 2 and not t.startswith("[")]
    assert pieces
    for number, token in enumerate(pieces):  # words fall into smaller pieces
        vocabulary[f"{token}{number}xyz"] = vocabulary.pop(token)
    path.write_text(json.dumps(content))
    return copy


@pytest.mark.parametrize("task", ["xtreme/panx", SQUAD])
def test_models_that_read_other_tokens_have_no_mean_over_tokens(local_run, tmp_path, task):
    run, data = local_run(task)
    best = run / tasks.get(task).slug / "best"
    other = other_tokens(best, tmp_path / "other")
    options = {"count": 2, "data": data, "names": [task], "split": "dev"}
    texts = refusal([best, other], to=tmp_path / "out", **options)
    assert "reads other tokens" in texts[f"{task} {tasks.get(task).dev[0].name}"]
    assert not list((tmp_path / "out").glob("**/*.*"))


def test_models_that_read_other_tokens_choose_classes_together(local_run, tmp_path):
    run, data = local_run(RTE)
    best = run / "glue-rte" / "best"
    other = other_tokens(best, tmp_path / "other")
    result = predict_ensemble([best, other], count=2, to=tmp_path / "out", data=data,
                              names=[RTE], split="dev")  # fmt: skip
    assert len(written(result.files, RTE)) == 23


def test_other_decodings_are_told_and_span_heads_of_two_kinds_are_refused(local_run, tmp_path):
    run, data = local_run(SQUAD)
    best = run / tasks.get(SQUAD).slug / "best"
    other, said = tmp_path / "other", []
    shutil.copytree(best, other)

    def with_settings(**settings):
        config = json.loads((best / "config.json").read_text())
        config["raysearch"]["settings"] |= settings
        (other / "config.json").write_text(json.dumps(config))

    options = {"count": 2, "data": data, "names": [SQUAD], "split": "dev"}
    with_settings(n_best=7)
    predict_ensemble([best, other], to=tmp_path / "out", note=said.append, **options)
    assert f"n_best 20 decodes; {other} was trained with 7" in "\n".join(said)
    plain = tmp_path / "plain"
    shutil.copytree(best, plain)
    shutil.rmtree(run)
    run, _ = local_run(SQUAD, span_head="conditional")
    texts = refusal([plain, best], to=tmp_path / "out", **options)
    assert "a span head that is conditional" in texts[SQUAD]


def test_the_command_prints_the_ensemble_beside_its_seeds_and_the_table(local_run, tmp_path):
    run, _ = local_run(RTE, search=KEEP)
    command = ["predict", str(run), "--to", str(tmp_path / "out"), "--split", "dev"]
    done = CliRunner().invoke(app, [*command, "--ensemble", "2"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    (start,) = (
        i for i, line in enumerate(lines) if line == f"{RTE} accuracy, 23 examples, percent"
    )
    names = [line.split("  ")[0] for line in lines[start + 1 : start + 5]]
    assert names == ["ensemble", "seed 11", "seed 12", "table"]
    assert "95 %: " in lines[start + 1]
    assert lines[start + 5].startswith("95 %: of the ensemble over examples")
    assert lines[-1] == str(tmp_path / "out" / "glue-rte-dev.tsv")
    plain = CliRunner().invoke(app, ["predict", str(run), str(run), "--to", str(tmp_path / "b")])
    assert plain.exit_code == 2
    assert "--ensemble 2" in plain.stderr


def test_the_benchmarks_own_file_is_written_for_test_without_scores(local_run, tmp_path):
    run, data = local_run("race/middle", search=KEEP)
    shutil.copytree(data / "race" / "dev", data / "race" / "test")
    result = predict_ensemble(run, count=2, to=tmp_path / "out")
    alone = predict(run, to=tmp_path / "alone")
    assert [path.name for path in result.files] == [path.name for path in alone]
    assert result.scores == ()
    assert plain_text(result) == ""


def test_of_held_out_examples_the_table_stands_not_beside_all_of_dev(local_run, tmp_path):
    run, _ = local_run(RTE, search={**KEEP, "hold_out": 0.5})
    said = []
    result = predict_ensemble(run, count=2, to=tmp_path / "out", split="dev", note=said.append)
    assert result.scores[0].printed is None
    assert "the table's score is of that part" in "\n".join(said)


def test_one_of_the_seeds_does_not_claim_to_be_the_best_and_a_rerun_keeps_all_again(
    local_run, tmp_path
):
    run, data = local_run(RTE, search=KEEP)
    best, other = members(run, RTE)
    said, options = (
        [],
        {"data": data, "names": [RTE], "split": "dev", "note": lambda x: said.append(x)},
    )
    predict(other, to=tmp_path / "out", **options)
    assert "one of 2 seeds" in "\n".join(said)
    assert "the best of" not in "\n".join(said)
    assert "It is one of 2 seeds" in (other / "README.md").read_text()
    assert raysearch.load(run / "glue-rte" / "best.yaml").search.keep_weights == "confirmed"
    assert "the seed that was best on dev" in (best / "README.md").read_text()


def test_the_data_folder_may_be_another_one(local_run, tmp_path):
    run, data = local_run(RTE, search=KEEP)
    here = write_data(tmp_path / "elsewhere", RTE)
    shutil.rmtree(data)
    result = predict_ensemble(run, count=2, to=tmp_path / "out", data=here, split="dev")
    assert result.scores[0].ensemble.examples == 23
