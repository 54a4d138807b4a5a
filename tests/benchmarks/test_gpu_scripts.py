"""The scripts that measure a GPU, without one: what they build, time, plan and print."""

import importlib
import importlib.util
import re
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.paths import ROOT, SHARED

BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = (
    "gpu",
    "gpu_cases",
    "gpu_extras",
    "gpu_graphs",
    "gpu_lanes",
    "gpu_unpadded",
    "length_mixes",
    "step_loops",
    "study_runs",
)
ABSENT = ("ray", "optuna", "cmaes", "tensorboard", "typer", "rich")  # not needed on the GPU machine
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scripts():
    """The scripts as modules, by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in SCRIPTS})
    finally:
        sys.path.remove(str(BENCHMARKS))


def small_case(scripts, shape="BERT-base", mix="MRPC", precision="fp32"):
    lengths = scripts.gpu_cases.read_lengths(mix, None)
    return scripts.gpu_cases.make_case(shape, lengths, precision, scripts.gpu_cases.SMALL, CPU)


# The table


@pytest.mark.slow
def test_the_table_is_printed_without_ray_and_what_it_imports():
    arguments = ["--small", "--shapes", "BERT-base", "--lengths", "MNLI", "RACE"]
    arguments += ["--precisions", "bf16", "fp16"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT})); import gpu;"
        f" sys.exit(gpu.main({arguments}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r"^\| .*", done.stdout, flags=re.MULTILINE)
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines]
    wanted = [("BERT-base", mix, kind) for mix in ("MNLI", "RACE") for kind in ("bf16", "fp16")]
    assert sorted(tuple(row[:3]) for row in rows) == wanted
    installed = importlib.util.find_spec("accelerate") is not None
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        ours, theirs = cells["ms"].split(" / ")
        assert float(ours) > 0
        assert float(cells["examples/s"].split(" / ")[0].replace(",", "")) > 0
        if not installed:
            assert theirs == "needs accelerate"
        elif cells["precision"] == "fp16":
            assert theirs == "needs a GPU"
        else:
            assert float(theirs) > 0
            assert float(cells["ratio"]) > 0
    assert "lengths of RACE: the quantiles in length_mixes.py" in done.stdout
    assert re.search(r"Largest difference from tf32: fp16 [\d.]+ %, bf16 [\d.]+ %", done.stdout)
    assert "halved when memory runs out: needs a GPU" in done.stdout
    assert "One CUDA graph for each padded length: needs a GPU." in done.stdout
    assert re.search(r"without padding: \d+ instead of \d+ tokens; .*; times need", done.stdout)


def test_rows_for_which_no_time_is_left_are_named_and_nothing_is_built(scripts, capsys):
    table = scripts.gpu.Table({}, scripts.gpu_cases.SMALL, CPU, scripts.gpu.Rates(flop={}, bytes=1))
    cells = [("BERT-base", "MRPC", "bf16"), ("XLM-R-base", "MNLI", "fp16")]
    assert table.run(cells, lambda: -1.0) == ["BERT-base MRPC bf16", "XLM-R-base MNLI fp16"]
    assert not table.failures
    assert not capsys.readouterr().out


def test_a_row_that_needs_more_than_is_left_gives_way_to_a_smaller_one(scripts, monkeypatch):
    mixes = {name: scripts.gpu_cases.read_lengths(name, None) for name in ("MRPC", "RACE")}
    rates = scripts.gpu.Rates(flop={"bf16": 1e6}, bytes=1e9)
    table = scripts.gpu.Table(mixes, scripts.gpu_cases.SMALL, CPU, rates)
    times = scripts.step_loops.StepTimes(step_ms=1.0, tokens=10.0)
    monkeypatch.setattr(scripts.gpu, "compare", lambda case: (times, times, 0.0))
    small, large = ("BERT-base", "MRPC", "bf16"), ("BERT-base", "RACE", "bf16")
    needed = {}
    for cell in (small, large):
        case = small_case(scripts, *cell)
        table.device = torch.device("cuda")
        needed[cell] = table._seconds(scripts.gpu_cases.work_of(case), "bf16")
        table.device = CPU
    assert needed[small] < needed[large]
    assert table._seconds(scripts.gpu_cases.work_of(small_case(scripts)), "bf16") == 0
    monkeypatch.setattr(table, "_seconds", lambda work, _: work.flop)
    limit = scripts.gpu_cases.work_of(small_case(scripts, *small)).flop
    assert table.run([large, small], lambda: limit) == ["BERT-base RACE bf16"]


def test_a_row_that_fails_ends_neither_the_table_nor_in_silence(scripts, monkeypatch, capsys):
    mixes = {"MRPC": scripts.gpu_cases.read_lengths("MRPC", None)}
    table = scripts.gpu.Table(mixes, scripts.gpu_cases.SMALL, CPU, scripts.gpu.Rates(
        flop={"bf16": 1e9, "tf32": 1e9}, bytes=1e9))  # fmt: skip
    times = scripts.step_loops.StepTimes(step_ms=2.0, tokens=10.0)

    def compare(case):
        if case.hyper["precision"] == "bf16":
            raise RuntimeError("a toy's failure")
        return times, "needs accelerate", 0.01

    monkeypatch.setattr(scripts.gpu, "compare", compare)
    cells = [("BERT-base", "MRPC", "bf16"), ("BERT-base", "MRPC", "tf32")]
    assert table.run(cells, lambda: 100.0) == []
    assert table.failures == ["BERT-base MRPC bf16: RuntimeError: a toy's failure"]
    (row,) = capsys.readouterr().out.splitlines()
    cells = row.strip("| ").split(" | ")
    assert len(cells) == len(scripts.gpu.COLUMNS)
    assert cells[:4] == ["BERT-base", "MRPC", "tf32", "2.0 / needs accelerate"]
    assert cells[6:9] == ["2,000 / -", "5,000 / -", "-"]  # 4 examples, 10 tokens in 2 ms


def test_the_means_of_two_runs_have_the_larger_memory(scripts):
    runs = [
        scripts.step_loops.StepTimes(step_ms=a, tokens=10, kernel_ms=a / 2, peak_gib=a)
        for a in (1.0, 3.0)
    ]
    mean = scripts.gpu.mean_times(runs)
    assert (mean.step_ms, mean.kernel_ms, mean.peak_gib, mean.host_ms) == (2, 1, 3, None)


# What is measured


@pytest.mark.parametrize("mix", ["MRPC", "MNLI", "SQuAD", "RACE"])
def test_drawn_lengths_have_the_mean_of_the_files(scripts, mix):
    means = {"MRPC": 53.2, "MNLI": 40.2, "SQuAD": 154.7, "RACE": 376.8}  # of length_mixes.py --data
    lengths = scripts.gpu_cases.read_lengths(mix, None).draw(20_000)
    quantiles = scripts.length_mixes.MIXES[mix].quantiles
    assert lengths.mean() == pytest.approx(means[mix], rel=0.02)
    assert quantiles[0] <= lengths.min()
    assert lengths.max() <= quantiles[-1]


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data/glue/MRPC").is_dir(), reason="no files of MRPC here")
def test_the_quantiles_are_those_of_the_files(scripts, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path))
    lengths = scripts.gpu_cases.read_lengths("MRPC", SHARED / "data")
    assert lengths.source == "3,668 rows of its files"
    mix = scripts.length_mixes.MIXES["MRPC"]
    percentiles = scripts.length_mixes.PERCENTILES
    quantiles = np.percentile(lengths.measured, percentiles, method="nearest")
    assert tuple(quantiles) == mix.quantiles
    assert lengths.mix.distinct == mix.distinct


def test_lengths_without_their_files_are_drawn_and_the_reason_is_told(scripts, tmp_path):
    lengths = scripts.gpu_cases.read_lengths("MRPC", tmp_path)
    assert lengths.measured is None
    assert lengths.source.startswith("the quantiles in length_mixes.py, as ")
    assert "vocab.txt" in lengths.source


@pytest.mark.parametrize("mix", ["MRPC", "SQuAD", "RACE"])
def test_drawn_examples_have_the_lengths_and_labels_that_raysearch_trains_on(scripts, mix):
    case = small_case(scripts, mix=mix)
    lengths = np.maximum(scripts.gpu_cases.read_lengths(mix, None).draw(len(case.train)) // 8, 6)
    assert list(case.train.lengths // case.train.group) == list(lengths)
    trainer = case.trainer()
    rows = next(case.rows())
    loss = trainer._train(rows, case.train) / trainer.gradient.units
    assert 0 < float(loss) < 10
    assert len(rows) == 4
    batch = scripts.step_loops.trainer_batch(case, list(rows))
    names = {"SQuAD": {"start_positions", "end_positions"}}.get(mix, {"labels"})
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", *names}


@pytest.mark.slow
def test_the_floor_counts_what_a_step_multiplies(scripts):
    from torch.utils.flop_counter import FlopCounterMode

    case = small_case(scripts, "RoBERTa-base")
    model = scripts.step_loops._trainer_model(case)
    model.set_attn_implementation("eager")  # whose products the counter sees
    counted = []
    for row in range(len(case.train)):  # one by one: without padding
        with FlopCounterMode(display=False) as counter:
            model(**case.train.collate([row])).loss.backward()
        counted.append(counter.get_total_flops())
    step = np.mean(counted) * case.hyper["BSZ"]
    assert scripts.gpu_cases.work_of(case).flop == pytest.approx(step, rel=0.1)


@pytest.mark.parametrize("mix", ["MRPC", "RACE", "SQuAD"])
def test_the_steps_that_are_captured_are_those_of_the_product(scripts, mix):
    """Without dropout; only the capture itself needs a GPU."""
    graphs, case = scripts.gpu_graphs, small_case(scripts, mix=mix)
    settings = {**graphs.STILL, "LR": 1e-2}
    wanted = graphs.product_losses(case, 6, **settings)
    steps = graphs.StaticSteps(case, **settings)
    found = steps.losses(6, graphed=False)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert np.ptp(wanted) > 1e-2  # the weights changed
    assert len(steps._batches) > 1  # several lengths, which share the weights


def test_what_a_capture_does_to_the_weights_is_undone(scripts, monkeypatch):
    """With a toy in the place of CUDA: a capture runs the step, and a graph replays it."""
    graphs, case = scripts.gpu_graphs, small_case(scripts)
    steps = graphs.StaticSteps(case, **graphs.STILL)
    plain = steps.losses(5, graphed=False)

    class ToyGraph:
        def replay(self):
            self.run()

    @contextmanager
    def capturing(graph, pool):
        length = max(set(again._batches) - set(again._graphs))
        graph.run = lambda: again._compute(length)
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    toy = SimpleNamespace(CUDAGraph=ToyGraph, graph=capturing, graph_pool_handle=lambda: None,
                          Stream=lambda: stream, current_stream=lambda: stream,
                          stream=lambda _: nullcontext())  # fmt: skip
    again = graphs.StaticSteps(case, **graphs.STILL)
    monkeypatch.setattr(graphs.torch, "cuda", toy)
    found = again.losses(5, graphed=True)
    assert set(again._graphs) == set(again._batches)
    np.testing.assert_allclose(found, plain, rtol=2e-5)


@pytest.mark.parametrize("way", ["packed", "grouped"])
def test_sequences_without_padding_give_what_they_give_padded(scripts, way):
    pair = scripts.gpu_unpadded.PackedPair(small_case(scripts))
    assert pair.tokens < pair.padded
    logits, gradient = pair.differences(way)
    assert gradient > 0, "both are the same pass"
    assert max(logits, gradient) < 1e-4


def test_a_row_whose_tokens_see_other_sequences_gives_something_else(scripts):
    """So the test above would find a mask that is wrong."""
    pair = scripts.gpu_unpadded.PackedPair(small_case(scripts))
    pair.packed["attention_mask"] = torch.ones_like(pair.packed["attention_mask"])
    assert max(pair.differences("packed")) > 1e-3


def test_less_memory_halves_the_micro_batches_and_leaves_the_gradient(scripts, monkeypatch):
    case = small_case(scripts, mix="RACE")
    whole = type(case.trainer().model)
    forward = whole.forward

    @contextmanager
    def limited(share):
        def small(self, input_ids, **batch):
            if len(input_ids) > 4 * share:
                raise torch.OutOfMemoryError("a toy's memory is full")
            return forward(self, input_ids=input_ids, **batch)

        with monkeypatch.context() as patch:
            patch.setattr(whole, "forward", small)
            yield

    text = scripts.gpu_extras.halve(case, limited)
    assert re.search(r"micro-batches went from 1 to [234] and their limit from [\d,]+ to", text)
    assert float(re.search(r"differs by (\S+) of", text)[1]) < 1e-5


def test_memory_that_was_enough_is_no_result(scripts):
    @contextmanager
    def unlimited(share):
        yield

    with pytest.raises(RuntimeError, match="nothing was halved"):
        scripts.gpu_extras.halve(small_case(scripts), unlimited)


def test_the_memory_of_a_gpu_is_limited_to_a_share_of_what_a_step_adds(scripts, monkeypatch):
    fractions = []
    for name, value in {
        "max_memory_allocated": lambda: 30,
        "memory_allocated": lambda: 10,
        "get_device_properties": lambda index: SimpleNamespace(total_memory=100),
        "empty_cache": lambda: None,
        "set_per_process_memory_fraction": fractions.append,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    with pytest.raises(KeyError), scripts.gpu_extras.limited_memory(0.6):
        raise KeyError
    assert fractions == [0.22, 1.0]  # 10, and 0.6 of the other 20; then all of it, whatever came


class ToyGpu:
    """A device with a clock: what the host queues takes its time on the device afterwards."""

    def __init__(self):
        self.host = self.device = 0.0
        self.profiled: list[float] | None = None

    def step(self, host, device):
        self.host += host
        self.device = max(self.host, self.device) + device
        if self.profiled is not None:
            self.profiled.append(1e3 * device)

    def synchronize(self):
        self.host = max(self.host, self.device)

    def event(self, enable_timing):
        event = SimpleNamespace()
        event.record = lambda: setattr(event, "at", max(self.host, self.device))
        event.elapsed_time = lambda later: 1e3 * (later.at - event.at)
        return event

    def profiler(self):
        kind = torch.autograd.DeviceType.CUDA
        return SimpleNamespace(
            start=lambda: setattr(self, "profiled", []),
            stop=lambda: None,
            key_averages=lambda: [
                SimpleNamespace(device_type=kind, self_device_time_total=1e3 * sum(self.profiled)),
                SimpleNamespace(device_type="CPU", self_device_time_total=1e9),
            ],
        )


def test_the_stopwatch_tells_the_host_from_the_kernels(scripts, monkeypatch):
    toy, loops = ToyGpu(), scripts.step_loops
    for name, value in {
        "synchronize": toy.synchronize,
        "Event": toy.event,
        "reset_peak_memory_stats": lambda: None,
        "max_memory_allocated": lambda: 3 * loops.GIB,
        "memory_reserved": lambda: 4 * loops.GIB,
        "max_memory_reserved": lambda: 5 * loops.GIB,
        "mem_get_info": lambda: (90 * loops.GIB, 95 * loops.GIB),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(loops, "_kernel_profile", toy.profiler)
    monkeypatch.setattr(loops.time, "perf_counter", lambda: toy.host)
    phases = loops.Phases(warm=2, timed=10, host=3, profiled=2)
    watch = loops.Stopwatch(torch.device("cuda"), phases, held=loops.GIB)
    for index in range(phases.total):
        toy.step(host=1.0 if index < 2 else 0.002, device=0.005)  # the first are slow
        watch.tick(100 if index == 2 else 20)
    times = watch.times
    # Kernels take longer than the host, which is ahead: a step takes their time.
    assert times.step_ms == pytest.approx(5.2)  # 10 steps, and the host's first start
    assert times.host_ms == pytest.approx(2)
    assert times.kernel_ms == pytest.approx(5)
    assert times.tokens == 28
    assert (times.peak_gib, times.process_gib) == (2, 6)  # less what was held; 1 GiB of context


def test_a_profile_without_kernels_is_not_a_time_of_zero(scripts):
    assert np.isnan(scripts.step_loops._kernel_ms([]))
    assert scripts.gpu._cell(float("nan"), ".1f") == "-"


# Lanes


def test_the_options_of_lanes_share_a_gpu(scripts, monkeypatch):
    monkeypatch.setattr(scripts.gpu_lanes.os, "cpu_count", lambda: 4)
    options = scripts.gpu_lanes.lane_options
    assert options(8, 8, 1) == ["--lanes", "8", "--cpus-per-worker", "0.50", "--gpus-per-worker",
                                "0.125"]  # fmt: skip
    assert options(2, 4, 2)[1::2] == ["4", "1.00", "0.5"]
    assert options(2, 2, 0)[1::2] == ["2", "1.00", "0"]


def attempts(lane, *times):
    return [{"event": "attempt", "lane": lane, "at": at} for at in times]


def test_trials_per_hour_leave_out_the_start_of_each_lane(scripts):
    events = attempts(1, 0, 100, 136, 172) + attempts(2, 5, 90, 126, 162)
    assert scripts.gpu_lanes.trials_per_hour(events) == 200  # two lanes, 36 s a trial
    assert scripts.gpu_lanes.trials_per_hour(attempts(1, 0, 10)) == 360  # too few to leave one out


def test_the_loss_is_of_trials_that_all_runs_have(scripts):
    events = [
        {"event": "trial", "trial": "a", "number": 0},
        {"event": "trial", "trial": "b", "number": 1},
        {"event": "trial", "trial": "c", "number": 2},
        *({"event": "report", "trial": t, "loss": x} for t, x in
          (("c", 9.0), ("b", 0.8), ("a", 0.7), ("b", 0.5), ("a", 0.3))),
    ]  # fmt: skip
    assert scripts.gpu_lanes.mean_loss(events, 2) == pytest.approx(0.4)


def test_mps_that_is_absent_is_told(scripts, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = scripts.gpu_lanes.measure(tmp_path, 4, True, devices=1, each=2)
    line = scripts.gpu_lanes.row(result, result)
    assert line == "| 4 | no nvidia-cuda-mps-control |  |  |  |  |  |"


def test_mps_is_started_for_a_run_and_ended_after_it(scripts, monkeypatch, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / scripts.gpu_lanes.CONTROL
    tool.write_text(
        '#!/bin/sh\nlog="$CUDA_MPS_LOG_DIRECTORY/calls"\n'
        'if [ "$1" = -d ]; then echo started >> "$log"; exit; fi\n'
        'read line; echo "$line" >> "$log"; [ "$line" = get_server_list ] && echo 17; exit 0\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    with scripts.gpu_lanes.mps(tmp_path) as environment:
        assert scripts.gpu_lanes.has_server(environment)
    calls = (tmp_path / "mps-log" / "calls").read_text().splitlines()
    assert calls == ["started", "get_server_list", "quit"]


def test_a_run_that_failed_is_a_row_and_an_exit_code(scripts, monkeypatch, capsys):
    def fail(*_):
        raise subprocess.CalledProcessError(1, "raysearch run")

    monkeypatch.setattr(scripts.gpu_lanes, "run_study", fail)
    monkeypatch.setattr(scripts.gpu_lanes, "write_inputs", lambda folder, options: None)
    assert scripts.gpu_lanes.main(["--small"]) == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[2:] == ["| 1 | no |  | failed |  |  |  |", "| 2 | no |  | failed |  |  |  |"]


def test_a_daemon_of_mps_that_does_not_start_is_a_failed_row(scripts, monkeypatch, tmp_path):
    tool = tmp_path / scripts.gpu_lanes.CONTROL
    tool.write_text("#!/bin/sh\nexit 3\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = scripts.gpu_lanes.measure(tmp_path, 2, True, devices=1, each=2)
    assert scripts.gpu_lanes.row(result, result) == "| 2 | yes |  | failed |  |  |  |"


def test_made_up_pairs_are_read_as_mrpc(scripts, tmp_path):
    from raysearch import tasks
    from raysearch.data import readers

    folder = tmp_path / "MRPC"
    folder.mkdir()
    scripts.gpu_lanes.write_made_up(folder, 40, 20)
    task = tasks.get("glue/mrpc")
    for split, count in ((task.train, 40), (task.dev[0], 20)):
        examples = list(readers.read(task, split, tmp_path))
        assert len(examples) == count
        assert {x["label"] for x in examples} == {0, 1}
        equal = [x["sentence1"] == x["sentence2"] for x in examples]
        assert equal == [x["label"] == 1 for x in examples]
