"""Whether a Ray cluster answers at an address, asked before Ray is: it would try for a minute.

It is apart because it relies on private parts of Ray, each named in
tests/workers/test_ray_internals.py.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray._private.grpc_utils import init_grpc_channel
from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
from ray._private.services import canonicalize_bootstrap_address
from ray.exceptions import AuthenticationError

grpc: Any = import_module("grpc")  # these have no types
messages: Any = import_module("ray.core.generated.gcs_service_pb2")
services: Any = import_module("ray.core.generated.gcs_service_pb2_grpc")

_TOKEN = (
    "RAY_AUTH_MODE=token, and the cluster's token in ~/.ray/auth_token, in the file that"
    " RAY_AUTH_TOKEN_PATH names or in RAY_AUTH_TOKEN, would do"
)


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """Why a cluster does not answer.

    Attributes:
        text: what was tried and what would do.
        may_pass: whether another try may succeed.
    """

    text: str
    may_pass: bool = False


def why_unreachable(address: str, timeout: float) -> Unreachable | None:
    """Return why no cluster answers at an address; None if one does.

    Args:
        address: HOST:PORT, or "auto" for the cluster on this node. One of Ray's client (ray://) is
            refused: Ray Train cannot be driven through it.
        timeout: seconds in which it has to answer.
    """
    if "://" in address:
        text = "an address of Ray's client; HOST:PORT of the cluster's head (port 6379), would do"
        return Unreachable(text=text)
    try:
        target = canonicalize_bootstrap_address(address) or address
    except ConnectionError as error:  # "auto"
        started = "ray start --head starts one here; without --address raysearch starts its own Ray"
        first = str(error).partition(" Please ")[0].rstrip(".")
        return Unreachable(text=f"{first} on this machine; {started}")
    except (OSError, ValueError):
        return Unreachable(text="not HOST:PORT, or the host is unknown; HOST:6379 would do")
    if address == "auto":  # as ray.init does
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        with init_grpc_channel(target, options=GLOBAL_GRPC_OPTIONS) as channel:
            stub = services.NodeInfoGcsServiceStub(channel)
            stub.GetClusterId(messages.GetClusterIdRequest(), timeout=timeout)
    except AuthenticationError:
        return Unreachable(text=f"a token is needed and none is here; {_TOKEN}")
    except grpc.RpcError as error:
        return _explain(target, error)
    return None


def _explain(target: str, error: Any) -> Unreachable:
    """Return what a RpcError says about an address."""
    details = error.details()
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return Unreachable(text=f"the cluster refuses the token, or misses one; {_TOKEN}")
    text = f"no Ray cluster answers at {target} ({details}); `ray status` on its head shows whether"
    return Unreachable(text=f"{text} one runs, and its port is 6379 by default", may_pass=True)
