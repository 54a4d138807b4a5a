"""Files of predictions for the tests of scoring."""

import json

import pytest

from raysearch.errors import InputError
from raysearch.predictions.scoring import score
from support.paths import SHARED

DATA = SHARED / "data"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def said(*arguments, **options):
    """What an InputError of these arguments says."""
    with pytest.raises(InputError) as caught:
        score(*arguments, **options)
    return str(caught.value)
