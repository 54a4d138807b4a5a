"""What fields say about themselves: who reads them, when they count, and who shares them."""

from typing import Annotated

import pytest
from pydantic import Field

from raysearch.recipes import RECIPES, Hyperparameters
from raysearch.recipes.field_metadata import (
    SHARED,
    Condition,
    ConfigName,
    ReadBy,
    Shared,
    equals,
    fields_with,
)

DATA = {
    "max_length", "over_length", "doc_stride", "stride_as", "query_length", "span_head",
    "answerable_by", "qa_length", "segments", "dev_examples", "lora_targets",
}  # fmt: skip
TEACHING = {"view", "teacher_view", "corpus", "teacher", "teacher_lambda1"}


class Example(Hyperparameters):
    """One more field for each thing that a field may say."""

    tagged: Annotated[int, ReadBy("tag")] = Field(1, description="a number")
    named: Annotated[int, ReadBy("tag", prefix=False), SHARED] = Field(1, description="of tags")
    several: Annotated[int, ReadBy("tag", "span")] = Field(1, description="another")
    late: Annotated[int, equals("schedule", "bert"), ConfigName("n")] = Field(1, description="last")


@pytest.mark.parametrize(
    ("name", "text"),
    [("tagged", "tag: a number"), ("named", "of tags"), ("several", "another"), ("late", "last")],
)
def test_a_description_begins_with_the_only_head_that_reads_the_field(name, text):
    assert Example.description(name) == text


def test_a_recipe_adds_to_what_the_shared_fields_say():
    added = {"tagged": ("tag",), "named": ("tag",), "several": ("tag", "span")}
    assert Example.read_by_heads() == {**Hyperparameters.read_by_heads(), **added}
    assert Example.shared_fields() == {*DATA, "named"}
    assert set(Example.conditions()) == {*Hyperparameters.conditions(), "late"}
    assert Example.conditions()["late"].holds("bert")
    assert not Example.conditions()["late"].holds("linear")
    assert Example(late=3).config_overrides() == {"n": 3}


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_trials_share_what_determines_the_data_and_the_teacher(recipe):
    expected = DATA | TEACHING if recipe == "stabletune" else DATA
    assert RECIPES[recipe].hyper.shared_fields() == expected


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_that_narrows_a_field_keeps_what_the_field_says(recipe):
    hyper = RECIPES[recipe].hyper
    for kind in (ReadBy, Shared, Condition, ConfigName):
        ours = fields_with(hyper, kind)
        for name, fact in fields_with(Hyperparameters, kind).items():
            assert ours[name] == fact


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_condition_names_a_field_of_the_recipe_and_says_which_values(recipe):
    hyper = RECIPES[recipe].hyper
    for condition in hyper.conditions().values():
        assert condition.name in hyper.model_fields
        assert condition.text


def test_texts_name_a_head_where_only_one_reads_the_field():
    texts = {name: Hyperparameters.description(name) for name in Hyperparameters.model_fields}
    prefixed = {name for name, text in texts.items() if text.startswith(("span: ", "choose: "))}
    assert {"doc_stride", "beam", "null_threshold", "qa_length", "segments"} <= prefixed
    assert texts["pooling"].startswith("tag: a word is")
    assert texts["label_scale"] == "regression labels are divided by this"
