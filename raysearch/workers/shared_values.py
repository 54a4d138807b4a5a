"""The part of the broker that keeps values: data, teachers, weights and facts.

It is apart from the broker because it knows nothing of lanes and trials but their names.
"""

import asyncio
from typing import Any

from ray import ObjectRef

from .machine import Facts


class SharedValues:
    """What the driver and the workers leave for each other: object references and facts."""

    def __init__(self) -> None:
        self._data: dict[str, dict[str, Any]] = {}
        self._data_published = asyncio.Event()
        self._models: dict[str, list[ObjectRef[Any]]] = {}
        self._teachers: dict[str, list[ObjectRef[Any]]] = {}
        self._facts: dict[str, dict[str, Any]] = {"machines": {}, "parameters": {}}

    def publish_data(self, task: str, data: dict[str, Any]) -> None:
        """Publish what workers need for a task: object references."""
        self._data[task] = data
        self._data_published.set()

    async def get_data(self, task: str) -> dict[str, Any]:
        """Return what was published for a task; wait until it is."""
        while task not in self._data:
            self._data_published.clear()
            await self._data_published.wait()
        return self._data[task]

    def record_machine(self, node: str, facts: Facts) -> None:
        """Record what the node of a worker is; any worker of a lane may call it."""
        self._facts["machines"][node] = facts

    def record_parameters(self, task: str, total: int, trained: int) -> None:
        """Record how many parameters the model of a task has."""
        self._facts["parameters"][task] = {"total": total, "trained": trained}

    def recorded_facts(self) -> dict[str, dict[str, Any]]:
        """Return what workers recorded: `machines`, node -> facts, and `parameters` by task."""
        return self._facts

    def put_model(self, trial: str, model: list[ObjectRef[Any]]) -> None:
        """Keep the dev predictions and the weights of an ended trial until the driver asks."""
        self._models[trial] = model

    def pop_model(self, trial: str) -> list[ObjectRef[Any]] | None:
        """Return what a trial left and forget it; None if it left nothing."""
        return self._models.pop(trial, None)

    def publish_teachers(self, teachers: dict[str, list[ObjectRef[Any]]]) -> None:
        """Publish the weights of these teachers, and of no others."""
        self._teachers = teachers

    def get_teacher(self, identity: str) -> list[ObjectRef[Any]]:
        """Return the weights of a teacher, which are published before a request names it."""
        return self._teachers[identity]
