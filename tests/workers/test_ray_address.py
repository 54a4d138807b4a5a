"""What is said of an address at which no Ray cluster answers. No Ray is started."""

import re
import socket
import threading
from types import SimpleNamespace

import pytest

from raysearch.errors import InputError
from raysearch.search import ray_cluster
from raysearch.search.cluster_options import ClusterOptions, chosen_address
from raysearch.search.ray_cluster import connect
from raysearch.workers import ray_address
from raysearch.workers.ray_address import grpc, why_unreachable


@pytest.fixture
def port(monkeypatch):
    """A port of loopback at which nobody listens; Ray would take another address of this host."""
    monkeypatch.setattr(ray_address, "canonicalize_bootstrap_address", str)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def test_an_address_where_nobody_listens_is_named_with_what_was_tried(port):
    failure = why_unreachable(f"127.0.0.1:{port}", timeout=5)
    assert failure.may_pass  # a head may be about to start
    assert f"no Ray cluster answers at 127.0.0.1:{port} (" in failure.text
    assert "Connection refused" in failure.text
    assert "its port is 6379 by default" in failure.text


def test_a_program_that_is_no_ray_is_refused(monkeypatch):
    monkeypatch.setattr(ray_address, "canonicalize_bootstrap_address", str)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-toy\r\n")

        threading.Thread(target=answer, daemon=True).start()
        failure = why_unreachable(f"127.0.0.1:{server.getsockname()[1]}", timeout=2)
    assert "no Ray cluster answers" in failure.text
    assert "Connection refused" not in failure.text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ray://head:10001", "an address of Ray's client; HOST:PORT of the cluster's head"),
        ("head", "not HOST:PORT, or the host is unknown; HOST:6379 would do"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_refused_without_a_try(address, text):
    failure = why_unreachable(address, timeout=5)
    assert (failure.text[: len(text)], failure.may_pass) == (text, False)


def test_auto_without_a_cluster_says_so(monkeypatch):
    def none(address):
        raise ConnectionError("Could not find any running Ray instance. Please specify the one")

    monkeypatch.setattr(ray_address, "canonicalize_bootstrap_address", none)
    failure = why_unreachable("auto", timeout=5)
    assert failure.text == (
        "Could not find any running Ray instance on this machine; ray start --head starts one"
        " here; without --address raysearch starts its own Ray"
    )


class Refusal(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNAUTHENTICATED

    def details(self):
        return "InvalidAuthToken: Authentication token is missing or incorrect"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Refusal(), "the cluster refuses the token, or misses one; RAY_AUTH_MODE=token, and"),
        (ray_address.AuthenticationError("no"), "a token is needed and none is here; RAY_AUTH_"),
    ],
)
def test_a_token_that_is_missing_or_wrong_is_told_as_such(monkeypatch, port, error, text):
    def raise_error(*_, **__):
        raise error

    stub = SimpleNamespace(GetClusterId=raise_error)
    monkeypatch.setattr(ray_address.services, "NodeInfoGcsServiceStub", lambda channel: stub)
    failure = why_unreachable(f"127.0.0.1:{port}", timeout=5)
    assert (failure.text[: len(text)], failure.may_pass) == (text, False)


@pytest.mark.parametrize(
    ("given", "environment", "chosen"),
    [
        (None, None, "local"),
        (None, "head:6379", "head:6379"),
        ("auto", "head:6379", "auto"),
        ("local", "head:6379", "local"),
        ("", "", "local"),
    ],
)
def test_the_address_of_the_environment_counts_where_none_is_given(
    monkeypatch, given, environment, chosen
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    assert chosen_address(given) == chosen
    options = ClusterOptions.of(given, None)
    assert options.is_local == (chosen == "local")
    told = ("RAY_ADDRESS names the cluster: head:6379; --address local is this machine",)
    assert options.notes == (() if given or not environment else told)


@pytest.mark.parametrize(
    ("address", "seconds", "wait", "text"),
    [
        ("local", None, None, ""),
        ("local", 0, None, ""),
        ("head:6379", None, 600, ""),
        ("head:6379", 0, 0, ""),
        ("local", 5, None, "no nodes join this machine; a cluster's --address would do"),
        ("head:6379", -1, -1, "-1 seconds asked for, a number from 0 would do"),
        ("head:6379", float("inf"), float("inf"), "inf seconds asked for"),
    ],
)
def test_nodes_are_waited_for_at_an_address_only(address, seconds, wait, text):
    options = ClusterOptions.of(address, seconds)
    assert options.wait == wait
    assert " ".join(p.text for p in options.problems()).startswith(text)
    assert bool(options.problems()) == bool(text)


def test_an_address_without_a_cluster_ends_a_run_after_a_few_tries(monkeypatch, port):
    tries = []
    monkeypatch.setattr(ray_cluster.time, "sleep", tries.append)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    expected = re.escape(f"127.0.0.1:{port} (RAY_ADDRESS): no Ray cluster answers")
    with pytest.raises(InputError, match=expected), connect(None):
        pass
    assert tries == [1, 1]
