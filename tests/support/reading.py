"""What the tests of readers share: a task's split read whole, and its problems."""

import pytest

from raysearch.data import readers
from raysearch.errors import InputError
from raysearch.tasks import get


def reading(default):
    """Two functions, `read` and `problems`, of a task that is `default` unless another is named."""

    def read(root, name=default, split="train", *, gold=False, **options):
        task = get(name)
        wanted = task.splits()[split]
        return list(readers.read(task, wanted.labelled_copy() if gold else wanted, root, **options))

    def problems(root, *arguments, **options):
        with pytest.raises(InputError) as caught:
            read(root, *arguments, **options)
        return [(problem.location, problem.text) for problem in caught.value.problems]

    return read, problems
