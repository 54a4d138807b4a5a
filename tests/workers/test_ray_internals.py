"""The private parts of Ray that raysearch relies on are there, and are called as it calls them."""

import inspect
import pickle
import re
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from raysearch.search import ray_cluster  # noqa: F401  # sets Ray's variables before its import
from raysearch.workers import lane, ray_internals
from raysearch.workers.lane_trainer import (
    RESOURCE_REQUESTS,
    UNUSED_CALLBACKS,
    GroupRestarts,
    LaneTrainer,
    NoSynchronization,
    ProcessGroup,
    ProcessGroupConfig,
)
from raysearch.workers.memory_kills import OUT_OF_MEMORY
from raysearch.workers.ray_internals import HEAD_NODE_RESOURCE, LANE_TAG
from raysearch.workers.ray_processes import (
    AGENT,
    inherited_environment,
    small_cluster,
    worker_environment,
)

CALLBACKS = {
    "DatasetsCallback": "ray.train.v2._internal.callbacks.datasets",
    "PlacementGroupCleanerCallback": "ray.train.v2._internal.callbacks.placement_group_callback",
}
TRAINER = "ray.train.v2.api.data_parallel_trainer"
GROUP = "ray.train.v2._internal.execution.worker_group.worker_group"
STATE = "ray.train.v2._internal.execution.worker_group.state"
CONTROLLER = "ray.train.v2._internal.execution.controller"
POLICY = "ray.train.v2._internal.execution.scaling_policy"
CONTROLLER_ARGUMENTS = ("train_fn_ref", "scaling_policy", "failure_policy", "train_run_context",
                        "callbacks", "failure_policy", "validation_config")  # fmt: skip


def part_of_ray(module, *names):
    """Return what a module of Ray has under a dotted name, or fail with what is gone."""
    try:
        part = import_module(module)
        for name in names:
            part = getattr(part, name)
    except (ImportError, AttributeError) as error:
        path = ".".join((module, *names))
        pytest.fail(
            f"Ray {import_module('ray').__version__} has no {path} ({error}): "
            "raysearch/workers relies on it and must follow",
            pytrace=False,
        )
    return part


def check_call(function, *arguments, **options):
    """Fail where a function of Ray cannot be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments, **options)
    except TypeError as error:
        pytest.fail(
            f"Ray's {function.__module__}.{function.__qualname__}{inspect.signature(function)} is "
            f"called in another way by raysearch/workers: {error}",
            pytrace=False,
        )


@pytest.mark.parametrize("name", ["_create_default_callbacks", "_initialize_and_run_controller"])
def test_a_lanes_trainer_overrides_methods_that_ray_calls(name):
    fit = part_of_ray(TRAINER, "DataParallelTrainer", "fit")
    part_of_ray(TRAINER, "DataParallelTrainer", name)
    assert f"self.{name}(" in inspect.getsource(fit), f"fit does not call {name}"
    assert name in vars(LaneTrainer)


def test_the_overridden_methods_are_called_as_ray_declares_them():
    trainer = part_of_ray(TRAINER, "DataParallelTrainer")
    options = dict.fromkeys(CONTROLLER_ARGUMENTS)
    check_call(trainer._create_default_callbacks, object())
    check_call(trainer._initialize_and_run_controller, object(), **options)


@pytest.mark.parametrize("name", UNUSED_CALLBACKS)
def test_the_callbacks_that_a_lane_does_without_exist(name):
    callback = part_of_ray(CALLBACKS[name], name)
    create = part_of_ray(TRAINER, "DataParallelTrainer", "_create_default_callbacks")
    assert f"{callback.__name__}(" in inspect.getsource(create), (
        f"Ray's trainer has no {name} any more: UNUSED_CALLBACKS can do without it"
    )


def test_the_controller_takes_what_fit_gives_and_runs_in_this_thread():
    controller = part_of_ray(CONTROLLER, "TrainController")
    check_call(controller, **dict.fromkeys(CONTROLLER_ARGUMENTS))
    run, get_result = (part_of_ray(CONTROLLER, "TrainController", m) for m in ("run", "get_result"))
    check_call(run, object())
    check_call(get_result, object())
    assert inspect.iscoroutinefunction(run), "TrainController.run is no coroutine any more"
    assert not inspect.iscoroutinefunction(get_result), "TrainController.get_result is one now"


def test_fit_names_the_controllers_arguments_as_the_lane_reads_them():
    fit = part_of_ray(TRAINER, "DataParallelTrainer", "fit")
    source = inspect.getsource(fit)
    for name in CONTROLLER_ARGUMENTS:
        assert f"{name}=" in source, f"fit gives no {name} to the controller"


@pytest.mark.parametrize("name", RESOURCE_REQUESTS)
def test_a_scaling_policy_announces_its_resources_by_these_methods(name):
    policy = part_of_ray(POLICY, "ScalingPolicy")
    check_call(part_of_ray(POLICY, "ScalingPolicy", name), object())
    assert not inspect.iscoroutinefunction(getattr(policy, name)), f"{name} is a coroutine now"


def test_all_requests_of_a_scaling_policy_are_silenced():
    policy = part_of_ray(POLICY, "ScalingPolicy")
    requests = {name for name in vars(policy) if name.endswith("_resource_request")}
    calls = {name for name in requests if not name.startswith("_get_")}
    assert calls == set(RESOURCE_REQUESTS), f"ScalingPolicy announces by {sorted(calls)}"


def test_a_lane_is_configured_by_the_classes_that_ray_train_gives():
    train = import_module("ray.train")
    for name in ("CheckpointConfig", "FailureConfig", "RunConfig", "ScalingConfig"):
        assert getattr(train, name) is getattr(lane, name), f"ray.train.{name} is another class"
    check_call(lane.RunConfig, worker_runtime_env={})
    check_call(lane.FailureConfig, max_failures=-1, controller_failure_limit=3)
    assert part_of_ray(TRAINER, "DataParallelTrainer") in LaneTrainer.__mro__


def test_a_lane_starts_no_synchronization_actor_where_train_would():
    group = part_of_ray(GROUP, "WorkerGroup", "_start_impl")
    source = inspect.getsource(group)
    assert "SynchronizationActor.options(" in source, "Ray starts it in another way"
    assert "with_sync_actor(sync_actor)" in source
    state = part_of_ray(STATE, "WorkerGroupState", "shutdown")
    assert "_shutdown_sync_actor(self.sync_actor)" in inspect.getsource(state)
    handle = NoSynchronization.options(label_selector={}).remote(timeout_s=1, warn_interval_s=1)
    assert isinstance(pickle.loads(pickle.dumps(handle)), NoSynchronization)


def test_the_workers_of_a_lane_are_connected_as_those_of_a_torch_trainer(monkeypatch):
    torch_config = part_of_ray("ray.train.torch", "TorchConfig")
    backend, calls = torch_config().backend_cls, []
    assert backend.share_cuda_visible_devices is ProcessGroup.share_cuda_visible_devices
    for name in ("on_start", "on_shutdown"):
        monkeypatch.setattr(
            backend, name, lambda *parts, name=name: calls.append((name, parts[1:]))
        )
    ours, config = ProcessGroup(), ProcessGroupConfig(timeout_s=5)
    for group in (["one"], ["one", "two"]):
        ours.on_start(group, config)
        ours.on_shutdown(group, config)
    expected = torch_config(timeout_s=5)
    two = ["one", "two"]
    assert calls == [("on_start", (two, expected)), ("on_shutdown", (two, expected))]


def test_a_cluster_of_this_machine_starts_without_services_that_it_does_not_use():
    parameters = part_of_ray("ray._private.parameter", "RayParams")
    services = import_module("ray._private.services")
    before = services.start_api_server, services.start_ray_process
    assert not parameters().no_monitor
    with small_cluster():
        made = import_module("ray._private.parameter").RayParams(num_cpus=1)
        assert services.start_api_server() == (None, None)
    assert (made.num_cpus, made.no_monitor, made.include_log_monitor) == (1, True, False)
    assert made.env_vars == worker_environment(1)
    assert made.runtime_env_agent_port > 1023
    assert import_module("ray._private.parameter").RayParams is parameters
    assert before == (services.start_api_server, services.start_ray_process)
    source = inspect.getsource(part_of_ray("ray._private.node", "Node"))
    assert "if not self._ray_params.no_monitor:" in source
    assert "if self._ray_params.include_log_monitor:" in source
    assert "env_updates=self._ray_params.env_vars" in source
    assert "ray._private.services.start_api_server(" in source
    assert "if process_info is not None:" in source, "Ray relies on the dashboard's process"
    source = inspect.getsource(part_of_ray("ray._private.worker", "init"))
    assert "ray._private.parameter.RayParams(" in source, "Ray takes the class from elsewhere"


def test_the_raylet_of_a_small_cluster_gets_an_agent_that_waits(monkeypatch, tmp_path):
    services = import_module("ray._private.services")
    commands = []
    monkeypatch.setattr(services, "start_ray_process", lambda c, *_, **__: commands.append(c))
    options = [f"--session_dir={tmp_path}", "--node_id=ab12", f"{AGENT}python agent.py --head"]
    with small_cluster():
        services.start_ray_process(["raylet", *options], "raylet")
        services.start_ray_process(["gcs_server", "--node_id=ab12"], "gcs_server")
    assert commands[0][:3] == ["raylet", *options[:2]]
    assert commands[0][3].startswith(AGENT)
    assert commands[0][3].endswith("idle_agent.py")
    assert commands[1] == ["gcs_server", "--node_id=ab12"]
    wait = import_module("ray._raylet").wait_for_persisted_port
    for name in ("METRICS_AGENT", "METRICS_EXPORT", "DASHBOARD_AGENT_LISTEN"):
        port = part_of_ray("ray._raylet", f"{name}_PORT_NAME")
        assert wait(str(tmp_path), "ab12", port, timeout_ms=0) == -1
    source = inspect.getsource(part_of_ray("ray._private.services", "start_raylet"))
    parts = (f'"{AGENT}{{}}"', 'f"--session_dir={session_dir}"', 'f"--node_id={node_id}"',
             "start_ray_process(")  # fmt: skip
    assert [part for part in parts if part not in source] == []


def test_actors_that_inherit_their_environment_have_no_runtime_environment():
    cache = part_of_ray("ray.tune.execution.class_cache", "_ActorClassCache")
    group = part_of_ray(GROUP, "WorkerGroup")
    assert "get_env_vars_to_propagate()" in inspect.getsource(group._get_worker_runtime_env)

    def made():
        return cache().get(type("Lane", (), {}))._default_options["runtime_env"]

    assert made().serialize() != "{}"
    with inherited_environment(False):
        assert made().serialize() != "{}"
    with inherited_environment(True):
        assert made().serialize() == "{}", "the lane's process would be started twice"
    assert made().serialize() != "{}"


@pytest.mark.slow
def test_a_lanes_process_and_the_broker_load_no_torch_and_the_driver_not_before_ray():
    for modules, absent in (
        ("raysearch.workers.lane", "torch"),
        ("raysearch.workers.broker", "torch pandas ray.train"),
        ("raysearch.search", "torch pandas ray.train tensorboard optuna"),
        ("raysearch.search, raysearch.search.session", "torch transformers sqlalchemy"),
    ):
        code = f"import sys, {modules}; assert not set({absent.split()}) & set(sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)


def test_a_lanes_trainer_has_the_callbacks_that_it_needs_and_no_others():
    trainer = LaneTrainer(print, scaling_config=lane.ScalingConfig(num_workers=1))
    names = {type(callback).__name__ for callback in trainer._create_default_callbacks()}
    assert not names & set(UNUSED_CALLBACKS)
    assert {"AcceleratorSetupCallback", "BackendSetupCallback"} <= names


def test_a_lanes_trainer_runs_the_controller_itself_and_announces_no_resources(monkeypatch):
    class ToyController:
        def __init__(self, **arguments):
            self.policy, self.has_run = arguments["scaling_policy"], False

        async def run(self):
            for name in RESOURCE_REQUESTS:
                getattr(self.policy, name)()
            self.has_run = True

        def get_result(self):
            return "result" if self.has_run else None

    def announce():
        pytest.fail("resources were announced")

    monkeypatch.setattr(import_module(CONTROLLER), "TrainController", ToyController)
    policy = SimpleNamespace(**dict.fromkeys(RESOURCE_REQUESTS, announce))
    trainer = LaneTrainer(print, scaling_config=lane.ScalingConfig(num_workers=1))
    assert trainer._initialize_and_run_controller(scaling_policy=policy) == "result"


def test_a_placement_group_is_found_in_rays_table_and_removed_by_its_id():
    identity = part_of_ray("ray", "PlacementGroupID")
    check_call(part_of_ray("ray.util.placement_group", "placement_group_table"))
    check_call(part_of_ray("ray.util.placement_group", "PlacementGroup"), identity.nil())
    check_call(part_of_ray("ray.util.placement_group", "remove_placement_group"), object())
    assert identity.from_hex(identity.nil().hex()) == identity.nil()


def test_dead_actors_are_in_rays_table_of_a_job():
    identity = part_of_ray("ray", "JobID")
    assert identity.from_hex(identity.from_int(7).hex()) == identity.from_int(7)
    table = part_of_ray("ray._private.state", "actors")
    check_call(table, job_id=identity.from_int(7), actor_state_name="DEAD")


def test_lanes_that_wait_are_those_of_this_run(monkeypatch):
    """Another run on the cluster has lanes with the same numbers."""

    def group(state, tag):
        return {"state": state, "bundles": {0: {"CPU": 1.0, LANE_TAG: tag}}}

    table = {
        "a01": group("PENDING", 1.0),
        "b01": group("CREATED", 2.0),
        "c01": group("RESCHEDULING", 3.0),
        "d02": group("PENDING", 4.0),
        "e01": {"state": "PENDING", "bundles": {0: {"CPU": 1.0}}},
    }
    monkeypatch.setattr(ray_internals, "placement_group_table", lambda: table)
    context = SimpleNamespace(get_job_id=lambda: "01")
    monkeypatch.setattr(ray_internals.ray, "get_runtime_context", lambda: context)
    assert ray_internals.waiting_lanes() == {1, 3}


def test_the_head_nodes_resource_has_rays_own_name():
    name = part_of_ray("ray._common.constants", "HEAD_NODE_RESOURCE_NAME")
    assert name == HEAD_NODE_RESOURCE


def test_a_lanes_workers_start_again_while_attempts_begin_and_else_a_few_times():
    counts = iter([0, 0, 1, 1, 2, 2, 2])
    policy = GroupRestarts(lambda: next(counts), limit=3)
    decisions = [policy.make_decision(RuntimeError()).name for _ in range(7)]
    assert decisions == ["RETRY"] * 6 + ["RAISE"]
    deaths = []
    policy = GroupRestarts(lambda: 1, limit=3, record_death=deaths.append)
    for text in ("killed", "ray.exceptions.OutOfMemoryError: Task was killed due to the node"):
        policy.make_decision(RuntimeError(text))
    assert deaths == [OUT_OF_MEMORY]
    lost = GroupRestarts(lambda: None, limit=3)
    assert lost.make_decision(RuntimeError()).name == "RAISE"


def test_ray_asks_a_failure_policy_by_the_method_that_ours_has():
    policy = part_of_ray(
        "ray.train.v2._internal.execution.failure_handling", "FailurePolicy", "make_decision"
    )
    (_, argument) = inspect.signature(policy).parameters
    check_call(GroupRestarts.make_decision, object(), **{argument: RuntimeError()})
    source = inspect.getsource(part_of_ray(CONTROLLER, "TrainController"))
    calls = re.findall(r"_failure_policy\.make_decision\(\s*(\w+)=", source)
    assert set(calls) == {argument}, f"Ray calls make_decision with {calls}"
    check_call(part_of_ray("ray._private.services", "ConsolePopen"), ["true"], start_new_session=1)


def test_what_is_gone_is_named():
    with pytest.raises(pytest.fail.Exception, match=r"has no ray\.train\.Gone .*must follow"):
        part_of_ray("ray.train", "Gone")
    with pytest.raises(pytest.fail.Exception, match="called in another way"):
        check_call(part_of_ray, unknown=1)


def test_the_parts_that_ask_a_cluster_before_and_beside_ray_are_called_as_ray_declares_them():
    for name in ("get_max_resources_from_cluster_config", "get_draining_nodes"):
        check_call(part_of_ray("ray._private.state", "GlobalState", name), object())
    check_call(part_of_ray("ray._private.grpc_utils", "init_grpc_channel"), "host", options=())
    check_call(part_of_ray("ray._private.services", "canonicalize_bootstrap_address"), "auto")
    tokens = "ray._private.authentication.authentication_token_setup"
    enable = part_of_ray(tokens, "maybe_enable_token_auth_if_token_available")
    check_call(enable, warn_if_disabled=False)
    part_of_ray("ray._private.ray_constants", "GLOBAL_GRPC_OPTIONS")
    services = "ray.core.generated.gcs_service_pb2_grpc"
    assert "GetClusterId" in inspect.getsource(part_of_ray(services, "NodeInfoGcsServiceStub"))
    part_of_ray("ray.core.generated.gcs_service_pb2", "GetClusterIdRequest")
