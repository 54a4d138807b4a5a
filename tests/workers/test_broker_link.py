"""The driver's link to a broker whose process may be killed. No Ray is started."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ObjectLostError, RayActorError

from raysearch.workers import broker_link
from raysearch.workers.broker import TrialBroker
from raysearch.workers.broker_link import BrokerLink
from raysearch.workers.lane_places import LanePlaces
from raysearch.workers.messages import TrainedModel

DATA = {"splits": {}}


class ToyActor:
    """Stands for Ray's handle: its process can be killed, and answers again after two calls."""

    def __init__(self):
        self.restart()

    def restart(self):
        self.broker, self.failures = TrialBroker(None), 0

    def kill(self):
        self.restart()
        self.failures = 2

    @property
    def answer(self):
        return SimpleNamespace(remote=lambda *call: ("answer", *call))

    @property
    def begin(self):
        return SimpleNamespace(remote=lambda *values: ("begin", *values))

    def get(self, call):
        """What `ray.get` does with the reference of a call."""
        if self.failures:
            self.failures -= 1
            raise RayActorError
        name, *values = call
        if name == "begin":
            return self.broker.begin(*values)
        try:
            self.broker.answer(*values).send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("the broker waits")


@pytest.fixture
def link(monkeypatch):
    """A link to a toy actor, its restarts noted; one worker group with the number 7 is known."""
    actor, restarts = ToyActor(), []
    toy = BrokerLink.__new__(BrokerLink)
    monkeypatch.setattr(broker_link.ray, "get", actor.get)
    monkeypatch.setattr(broker_link, "worker_group_lanes", lambda: {7})
    monkeypatch.setattr(broker_link, "dead_actors", lambda: {"dead"})
    monkeypatch.setattr(broker_link, "PAUSE", 0.0)
    toy._start(actor, lambda: restarts.append(toy.first))
    return SimpleNamespace(link=toy, actor=actor, restarts=restarts)


def test_a_broker_that_starts_again_is_told_what_was_published(link):
    link.link.publish_data("glue/rte", DATA)
    link.link.publish_teachers({"one": ["weights"]})
    link.link.set_places(LanePlaces(devices=2, levels=3))
    link.actor.kill()
    assert link.link.running_attempts() == []
    assert link.actor.broker._data == {"glue/rte": DATA}
    assert link.actor.broker.get_teacher("one") == ["weights"]
    assert link.actor.broker._places == LanePlaces(devices=2, levels=3)
    assert link.restarts == [8]  # above the numbers of all worker groups


def test_what_is_published_while_the_broker_is_dead_reaches_it(link):
    link.link.running_attempts()
    link.actor.kill()
    link.link.publish_data("glue/rte", DATA)
    assert link.actor.broker._data == {"glue/rte": DATA}


def test_lanes_of_a_dead_broker_are_dead_and_their_numbers_are_not_given_again(link):
    link.link.running_attempts()
    for name in "abc":
        link.actor.broker.register_lane(name, None, "")
    link.link.running_attempts()
    link.actor.kill()
    link.link.running_attempts()
    assert link.actor.broker.register_lane("d", None, "") == 8
    link.actor.broker._lanes.clear()
    link.actor.broker.register_lane("e", None, "dead")
    link.actor.broker.register_lane("f", None, "alive")
    assert link.link.forget_dead_lanes("x") == {*range(1, 8), 9}


def test_a_broker_that_does_not_come_back_is_an_error(link, monkeypatch):
    monkeypatch.setattr(broker_link, "RETURN", 0.0)
    link.actor.kill()
    with pytest.raises(RayActorError):
        link.link.running_attempts()


def test_a_model_that_was_lost_with_its_node_is_none(link, monkeypatch):
    link.link.running_attempts()
    for trial in "abc":
        link.actor.broker.put_model(trial, [f"predictions of {trial}", "lost"])
    fetched = []

    def get(call):
        if call == "lost":
            raise ObjectLostError("00", None, "")
        if isinstance(call, str):
            fetched.append(call)
            return b"x"
        return link.actor.get(call)

    monkeypatch.setattr(broker_link.ray, "get", get)
    assert link.link.pop_model("a", True) is None
    assert link.link.pop_model("b", False) == TrainedModel(weights=None, predictions=b"x")
    assert fetched == ["predictions of a", "predictions of b"]
    link.actor.kill()
    assert link.link.pop_model("c", False) is None
