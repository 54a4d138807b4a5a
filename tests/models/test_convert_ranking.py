"""fairseq's heads that rank options become transformers' multiple choice; whose they are is told
from the arguments of training or by the user; the folder has a card that claims nothing more."""

import argparse
import hashlib
import json
import re

import pytest
import torch
import yaml
from support.small_data import write_data
from transformers import AutoModelForMultipleChoice, AutoTokenizer, RobertaConfig
from transformers import RobertaForMultipleChoice as MultipleChoice

import raysearch
from raysearch import tasks
from raysearch.data.readers import registry
from raysearch.errors import InputError
from raysearch.models.convert.conversion import convert
from raysearch.models.pretrained import read_pretrained, read_tokenizer
from raysearch.predictions.prediction import predict
from raysearch.recipes import Hyperparameters

WORDS = "the old ship has a key and no map but a green door in the far house _ ? of it"
RACE = {
    "task": "sentence_ranking", "criterion": "sentence_ranking", "num_classes": 4, "init_token": 0,
    "separator_token": 2, "max_option_length": 20, "max_positions": 28, "arch": "roberta_large",
}  # fmt: skip
HEAD = "classification_heads.sentence_classification_head"
# transformers' names -> fairseq's, as fairseq/models/roberta/model.py has them.
NAMES = (
    (r"^roberta\.encoder\.layer\.", "encoder.sentence_encoder.layers."),
    (r"\.attention\.self\.query\.", ".self_attn.q_proj."),
    (r"\.attention\.self\.key\.", ".self_attn.k_proj."),
    (r"\.attention\.self\.value\.", ".self_attn.v_proj."),
    (r"\.attention\.output\.dense\.", ".self_attn.out_proj."),
    (r"\.attention\.output\.LayerNorm\.", ".self_attn_layer_norm."),
    (r"\.intermediate\.dense\.", ".fc1."),
    (r"(layers\.\d+)\.output\.dense\.", r"\1.fc2."),
    (r"(layers\.\d+)\.output\.LayerNorm\.", r"\1.final_layer_norm."),
    (r"^roberta\.embeddings\.word_embeddings\.", "encoder.sentence_encoder.embed_tokens."),
    (r"^roberta\.embeddings\.position_embeddings\.", "encoder.sentence_encoder.embed_positions."),
    (r"^roberta\.embeddings\.LayerNorm\.", "encoder.sentence_encoder.emb_layer_norm."),
    (r"^roberta\.pooler\.dense\.", f"{HEAD}.dense."),
    (r"^classifier\.", f"{HEAD}.out_proj."),
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """vocab.json and merges.txt, and how many tokens that makes."""
    from tokenizers import ByteLevelBPETokenizer

    folder = tmp_path_factory.mktemp("pairs")
    backend = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend.train_from_iterator(
        [WORDS] * 9, vocab_size=300, special_tokens=special, show_progress=False
    )
    backend.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text())
    vocab["<mask>"] = len(vocab)
    (folder / "vocab.json").write_text(json.dumps(vocab))
    return folder, len(vocab)


@pytest.fixture(scope="module")
def published(pairs):
    """transformers' own model with random weights, large enough that its scores differ."""
    torch.manual_seed(3)
    config = RobertaConfig(
        vocab_size=pairs[1], hidden_size=64, num_hidden_layers=2, num_attention_heads=1,
        intermediate_size=48, max_position_embeddings=64, type_vocab_size=1, layer_norm_eps=1e-5,
        initializer_range=0.2,
    )  # fmt: skip
    model = MultipleChoice(config).eval()
    model.roberta.embeddings.token_type_embeddings.weight.data.zero_()
    return model


def fairseq_state(model):
    """The tensors of transformers' model under fairseq's names."""
    state = {}
    for name, tensor in model.state_dict().items():
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        state[name] = tensor
    del state["roberta.embeddings.token_type_embeddings.weight"]
    assert not [name for name in state if name.startswith("roberta")]
    return state


@pytest.fixture
def checkpoint(tmp_path, published):
    """Writes a checkpoint with these arguments of training, and returns its path."""

    def write(arguments, state=None):
        path = tmp_path / "in" / "checkpoint_best.pt"
        path.parent.mkdir(exist_ok=True)
        args = argparse.Namespace(**arguments)
        torch.save({"args": args, "model": state or fairseq_state(published)}, path)
        return path

    return write


def refused(path, tmp_path, pairs, **options):
    with pytest.raises(InputError) as caught:
        convert(path, to=tmp_path / "refused", tokenizer=pairs[0], **options)
    assert not (tmp_path / "refused").exists()
    return {problem.location: problem.text for problem in caught.value.problems}


def test_the_logits_are_those_of_transformers_and_of_fairseqs_formula(
    checkpoint, tmp_path, pairs, published
):
    made = convert(checkpoint(RACE), to=tmp_path / "out", tokenizer=pairs[0])
    assert made.model == "RobertaForMultipleChoice"
    assert made.head == ("sentence_classification_head", "choose", 4)
    ours = AutoModelForMultipleChoice.from_pretrained(tmp_path / "out").eval()
    ids = torch.randint(4, pairs[1], (3, 4, 11), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[:, 1, 7:] = 0
    state = fairseq_state(published)
    with torch.no_grad():
        found = ours(ids, attention_mask=mask).logits
        torch.testing.assert_close(
            found, published(ids, attention_mask=mask).logits, atol=1e-5, rtol=0
        )
        scores = []  # fairseq's criterion: one pass for each option, its scores side by side
        for option in range(4):
            hidden = published.roberta(ids[:, option], attention_mask=mask[:, option])[0][:, 0]
            inner = hidden @ state[f"{HEAD}.dense.weight"].T + state[f"{HEAD}.dense.bias"]
            outer = inner.tanh() @ state[f"{HEAD}.out_proj.weight"].T
            scores.append(outer + state[f"{HEAD}.out_proj.bias"])
        torch.testing.assert_close(found, torch.cat(scores, 1), atol=1e-5, rtol=0)
    assert found.std() > 0.1


@pytest.mark.parametrize("place", ["args", "cfg"])
@pytest.mark.parametrize("task", ["sentence_ranking", "commonsense_qa"])
def test_the_arguments_of_either_fairseq_tell_that_it_chooses(
    tmp_path, pairs, published, place, task
):
    if place == "args":
        held = {"args": argparse.Namespace(task=task)}
    else:  # since fairseq 1.0
        held = {"args": None, "cfg": {"task": {"_name": task, "max_positions": 60},
                                      "criterion": {"_name": "sentence_ranking"}}}  # fmt: skip
    torch.save({**held, "model": fairseq_state(published)}, tmp_path / "model.pt")
    made = convert(tmp_path / "model.pt", to=tmp_path / "out", tokenizer=pairs[0])
    assert made.model == "RobertaForMultipleChoice"
    assert any("Q: question" in note for note in made.notes) == (task == "commonsense_qa")


@pytest.mark.parametrize(
    "arguments", [{"regression_target": True}, {"criterion": "sentence_prediction"}]
)
def test_a_single_output_of_stsb_stays_a_regression(checkpoint, tmp_path, pairs, arguments):
    made = convert(checkpoint(arguments), to=tmp_path / "out", tokenizer=pairs[0])
    assert made.model == "RobertaForSequenceClassification"
    assert made.notes == ()


def test_what_the_arguments_do_not_tell_the_user_has_to(checkpoint, tmp_path, pairs):
    path = checkpoint({"seed": 1})
    text = refused(path, tmp_path, pairs)["--head-kind"]
    assert "--head-kind choose" in text
    assert "--head-kind regress" in text
    for kind, model in (("choose", "MultipleChoice"), ("regress", "SequenceClassification")):
        made = convert(path, to=tmp_path / kind, tokenizer=pairs[0], head_kind=kind)
        assert made.model == f"RobertaFor{model}"


def test_options_that_fit_no_head_are_refused_all_at_once(checkpoint, tmp_path, pairs, published):
    state = fairseq_state(published)
    state[f"{HEAD}.out_proj.weight"] = torch.randn(3, 64)
    state[f"{HEAD}.out_proj.bias"] = torch.randn(3)
    path = checkpoint(RACE, state)  # such as the head of MNLI that the training began from
    assert "3 outputs" in refused(path, tmp_path, pairs, head_kind="choose")["--head-kind"]
    assert "only a head that chooses" in refused(path, tmp_path, pairs, task="race/all")["--task"]
    texts = refused(
        path, tmp_path, pairs, task="glue/rte", head_kind="rank", licence="My Own", base_model="a b"
    )
    assert set(texts) == {"--task", "--head-kind", "--licence", "--base-model"}
    assert "race/middle, race/high, race/all" in texts["--task"]


def rows_by_hand(tokenizer, example):
    """The rows of fairseq's sentence_ranking task: options cut to 20 tokens, rows to 28."""
    passage = tokenizer(example["passage"], add_special_tokens=False)["input_ids"]
    for option in example["options"]:
        question = example["question"]
        text = question.replace("_", option) if "_" in question else f"{question} {option}"
        answer = tokenizer(" ".join(text.split()), add_special_tokens=False)["input_ids"]
        head = [0, *answer, 2][:20]
        yield [*head, 2, *passage, 2][:28]


def test_with_its_task_the_folder_is_evaluated_predicts_and_trains_as_it_was_trained(
    checkpoint, tmp_path, pairs, published, monkeypatch
):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    data, folder = write_data(tmp_path / "data", "race/middle"), tmp_path / "out"
    made = convert(checkpoint(RACE), to=folder, tokenizer=pairs[0], task="race/middle")
    assert "segments qa_first, max_length 28, qa_length 20" in " ".join(made.notes)
    tokenizer, task = AutoTokenizer.from_pretrained(folder), tasks.get("race/middle")
    examples = list(registry.read(task, task.dev[0], data))
    hits, chosen, sizes = [], [], []
    with torch.no_grad():
        for example in examples:
            rows = [torch.tensor([[row]]) for row in rows_by_hand(tokenizer, example)]
            sizes += [row.numel() for row in rows]
            logits = torch.cat([published(row).logits for row in rows], 1)
            chosen.append(int(logits.argmax()))
            hits.append(chosen[-1] == example["label"])
    assert len(set(chosen)) > 1
    assert max(sizes) == 28  # the longest are cut
    result = raysearch.evaluate(folder, tasks="race/middle", data=data)
    assert result.scores[0].value == sum(hits) / len(hits)
    assert result.notes == ()  # nothing is assumed
    (path,) = predict(folder, to=tmp_path / "p", data=data, names=["race/middle"], split="dev")
    assert [int(line.split("\t")[1]) for line in path.read_text().splitlines()] == chosen
    hyper = Hyperparameters(max_length=28, qa_length=20)
    started = read_pretrained(str(folder), task, read_tokenizer(str(folder), ()), hyper)
    weight = started.weights["classifier.weight"]
    assert (weight == published.classifier.weight.detach().numpy()).all()


def test_without_its_task_it_is_said_what_evaluate_needs(checkpoint, tmp_path, pairs, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "cache"))
    made = convert(checkpoint(RACE), to=tmp_path / "out", tokenizer=pairs[0])
    (options,) = re.findall(r"`evaluate` takes (.*)", "\n".join(made.notes))
    given = [text for text in options.split() if text != "--set"]
    assert given == ["segments=qa_first", "max_length=28", "qa_length=20"]
    data = write_data(tmp_path / "data", "race/middle")
    told = raysearch.evaluate(tmp_path / "out", tasks="race/middle", data=data, settings=given)
    convert(checkpoint(RACE), to=tmp_path / "b", tokenizer=pairs[0], task="race/middle")
    recorded = raysearch.evaluate(tmp_path / "b", tasks="race/middle", data=data)
    assert told.scores == recorded.scores


def test_other_first_tokens_than_those_of_race_tasks_are_told(checkpoint, tmp_path, pairs):
    arguments = {n: x for n, x in RACE.items() if n != "init_token"} | {"separator_token": 7}
    made = convert(checkpoint(arguments), to=tmp_path / "out", tokenizer=pairs[0])
    text = "\n".join(made.notes)
    assert "the first token was none in training; in race tasks it is that of id 0" in text
    assert "the token before the passage was the one of id 7 in training" in text


def test_the_card_has_what_the_hub_reads_and_claims_no_more_than_is_known(
    checkpoint, tmp_path, pairs
):
    from huggingface_hub import ModelCard

    path = checkpoint({**RACE, "arch": "<img src=x>"})
    convert(path, to=tmp_path / "plain", tokenizer=pairs[0])
    text = (tmp_path / "plain" / "README.md").read_text()
    data = ModelCard(text).data.to_dict()
    assert data == yaml.safe_load(text.split("---")[1]) == {
        "library_name": "transformers", "pipeline_tag": "multiple-choice",
        "tags": ["raysearch", "roberta"],
    }  # fmt: skip
    assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert "Base model: not told" in text
    assert "License: not given" in text
    assert "Scores: none" in text
    assert "<img" not in text
    assert str(tmp_path) not in text
    convert(path, to=tmp_path / "told", tokenizer=pairs[0], licence="mit", task="race/all",
            base_model="FacebookAI/roberta-large")  # fmt: skip
    told = (tmp_path / "told" / "README.md").read_text()
    data = ModelCard(told).data.to_dict()
    assert (data["license"], data["base_model"]) == ("mit", "FacebookAI/roberta-large")
    assert "raysearch evaluate FOLDER --tasks race/all --data DATA" in told
    code = told.split("```python\n")[1].split("```")[0]
    scope = {}
    exec(code.replace("FOLDER", str(tmp_path / "told")), scope)  # what the card says works
    assert type(scope["model"]).__name__ == "RobertaForMultipleChoice"
