"""What cannot run is refused before anything starts: data, model, disk, lanes, run folder."""

import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from raysearch import preflight, study
from raysearch.data import readers
from raysearch.error_pages import HUB
from raysearch.preflight import Lanes

RTE, MRPC, COLA, STSB = "glue/rte", "glue/mrpc", "glue/cola", "glue/stsb"
PAIR = ("No Weapons of Mass Destruction Found in Iraq Yet.",
        "Weapons of Mass Destruction Found in Iraq.")  # fmt: skip


def searched(*tasks, **parts):
    return study.parse({"tasks": list(tasks), "model": "scratch", **parts})


def rows(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def data(tmp_path):
    """RTE, MRPC, CoLA and STS-B as GLUE publishes them, with three rows each."""
    root = tmp_path / "glue"
    rte = [("index", "sentence1", "sentence2", "label")]
    rte += [(str(at), *PAIR, ("not_entailment", "entailment")[at % 2]) for at in range(3)]
    mrpc = [("\ufeffQuality", "#1 ID", "#2 ID", "#1 String", "#2 String")]
    mrpc += [("1", "702876", "702977", *PAIR)] * 3
    cola = [("gj04", "1", "", "Our friends won't buy this analysis.")] * 3
    names = "index genre filename year old_index source1 source2 sentence1 sentence2 score"
    stsb = [tuple(names.split())]
    stsb += [(str(at), "c", "MSRvid", "2012", "1", "a", "b", *PAIR, "4.25") for at in range(3)]
    for folder, content in (("RTE", rte), ("MRPC", mrpc), ("CoLA", cola), ("STS-B", stsb)):
        for name in ("train.tsv", "dev.tsv"):
            write(root / folder / name, rows(*content))
    return root


def found(problems):
    return [(problem.location, problem.text) for problem in problems]


def test_whole_data_has_no_problems(data):
    assert preflight.survey(searched(RTE, MRPC, COLA, STSB), data).problems == []


def test_a_missing_file_a_short_row_a_wrong_label_and_a_bad_encoding_are_all_named(data):
    (data / "CoLA" / "dev.tsv").unlink()
    good = (data / "RTE" / "train.tsv").read_text()
    write(data / "RTE" / "train.tsv", good + rows(("3", PAIR[0], "entailment")))
    write(data / "MRPC" / "dev.tsv", (data / "MRPC" / "dev.tsv").read_text().replace("1\t", "2\t"))
    train = (data / "STS-B" / "train.tsv").read_bytes()
    write(data / "STS-B" / "train.tsv", train.replace(b"Iraq Yet", b"Ir\xe9q Yet", 1))
    write(data / "STS-B" / "dev.tsv", train.replace(b"4.25", b"five"))
    said = found(preflight.survey(searched(RTE, MRPC, COLA, STSB), data).problems)
    assert [place for place, _ in said] == [
        "glue/rte train.tsv line 5",
        "glue/mrpc dev.tsv line 2, 3, 4",
        "glue/cola",
        "glue/stsb train.tsv line 2",
        "glue/stsb dev.tsv line 2, 3, 4",
    ]
    texts = dict(said)
    assert "3 columns where there should be 4" in texts["glue/rte train.tsv line 5"]
    assert "label '2'; the labels are: 0, 1" in texts["glue/mrpc dev.tsv line 2, 3, 4"]
    assert f"no dev.tsv in {data / 'CoLA'}" in texts["glue/cola"]
    assert "byte 0xe9" in texts["glue/stsb train.tsv line 2"]
    assert "label 'five' is not a number from 0 to 5" in texts["glue/stsb dev.tsv line 2, 3, 4"]


def test_what_is_wrong_in_every_row_of_a_file_is_told_once_with_the_first_places(data):
    broken = [("1", *PAIR, label) for label in ("maybe", "perhaps", "maybe") for _ in range(9)]
    train = rows(("index", "sentence1", "sentence2", "label"), *broken)
    write(data / "RTE" / "train.tsv", train)
    (problem,) = preflight.survey(searched(RTE), data).problems
    assert (problem.location, problem.count) == ("glue/rte train.tsv line 2, 3, 4 and 24 more", 27)
    labels = "the labels are: entailment, not_entailment"
    assert problem.text == f"label 'maybe', 'perhaps'; {labels}"


def test_problems_of_a_file_stand_in_the_order_of_its_lines(data):
    good = (data / "RTE" / "train.tsv").read_bytes()
    write(data / "RTE" / "train.tsv", good + b"3\ta\n4\t\xff\tb\tentailment\n" * 2)
    places = [problem.location for problem in preflight.survey(searched(RTE), data).problems]
    assert places == [f"glue/rte train.tsv line {lines}" for lines in ("5, 7", "6, 8")]


def test_a_folder_that_cannot_be_read_is_a_problem_of_its_task_alone(data, monkeypatch):
    present = readers.present_splits

    def refused(task, root):
        if task.name == MRPC:
            raise PermissionError(13, "Permission denied", "MRPC")
        return present(task, root)

    monkeypatch.setattr(readers, "present_splits", refused)
    said = found(preflight.survey(searched(RTE, MRPC), data).problems)
    assert said == [(MRPC, "cannot be read: Permission denied: MRPC")]


def test_a_survey_counts_what_trains_and_what_is_scored_and_reads_it_once(data, monkeypatch):
    extra = (data / "RTE" / "train.tsv").read_text() + rows(("3", *PAIR, "entailment"))
    write(data / "RTE" / "train.tsv", extra + rows(("4", *PAIR, "maybe")))
    opened, read = [], readers.read

    def watched(task, split, *rest, **options):
        opened.append((task.name, split.name))
        return read(task, split, *rest, **options)

    monkeypatch.setattr(readers, "read", watched)
    seen = preflight.survey(searched(RTE, COLA, leave_out=1), data)
    assert seen.problems == []
    assert seen.sizes == {RTE: {"train": 4, "dev": 3}, COLA: {"train": 3, "dev": 3}}
    assert sorted(opened) == sorted({(t, s) for t in (RTE, COLA) for s in ("train", "dev")})
    assert preflight.survey(searched(RTE), None) == preflight.Survey(problems=[], sizes={})


def test_parts_of_a_dev_split_are_counted_and_those_too_small_are_refused(data):
    header, *_ = (data / "RTE" / "dev.tsv").read_text().splitlines()
    labels = ["entailment"] * 7 + ["not_entailment"] * 4
    pairs = [(str(at), *PAIR, label) for at, label in enumerate(labels)]
    write(data / "RTE" / "dev.tsv", header + "\n" + rows(*pairs))
    half = preflight.survey(searched(RTE, search={"hold_out": 0.5}), data)
    assert (half.problems, half.held_out) == ([], {RTE: {"dev": 6}})
    few = preflight.survey(searched(RTE, search={"hold_out": 0.03}), data)
    assert found(few.problems) == [
        ("search.hold_out", f"{RTE} dev: the held-out part has none of the 11 examples: "
         "another share, or no hold_out, would do")
    ]  # fmt: skip
    ((place, text),) = found(
        preflight.survey(
            searched(RTE, search={"hold_out": 0.5}, fixed={"dev_examples": 4}), data
        ).problems
    )
    assert place == "search.hold_out"
    assert "examples, and all have the label" in text
    assert text.endswith("would do; dev_examples can be raised")


def test_a_model_is_looked_at_where_it_is_named(data):
    own = {MRPC: {"model": "./gone"}, COLA: {"model": "./none"}}
    study = searched(RTE, MRPC, COLA, model="./none", per_task=own)
    places = [problem.location for problem in preflight.survey(study, None).problems]
    assert places == ["model", "per_task.glue/mrpc.model"]


def test_a_data_folder_that_is_not_there_is_named_once_for_each_task(data):
    said = found(preflight.survey(searched(RTE, MRPC), data / "elsewhere").problems)
    assert [place for place, _ in said] == [RTE, MRPC]
    assert str(data / "elsewhere") in said[0][1]


def test_a_generated_task_needs_no_data(tmp_path):
    assert preflight.survey(searched("toy/grammar"), tmp_path / "none").problems == []


def test_a_model_folder_needs_a_configuration_and_weights(tmp_path):
    folder = tmp_path / "bert"
    assert "no folder" in preflight.model_problems(str(folder))[0].text
    folder.mkdir()
    assert "has no config.json" in preflight.model_problems(str(folder))[0].text
    write(folder / "config.json", "{}")
    assert "no model.safetensors" in preflight.model_problems(str(folder))[0].text
    write(folder / "model.safetensors", "x")
    assert preflight.model_problems(str(folder)) == []


@pytest.mark.parametrize("name", ["scratch", "scratch:4x256", "bert-base-uncased", "a/b"])
def test_a_name_that_is_no_path_may_be_a_model(name):
    assert preflight.model_problems(name) == []


def test_the_identity_of_a_model_folder_is_its_content_wherever_it_lies(tmp_path):
    one = tmp_path / "one"
    write(one / "config.json", "{}")
    write(one / "model.safetensors", "x")
    shutil.copytree(one, tmp_path / "two")
    prints = [preflight.model_fingerprint(str(tmp_path / name)) for name in ("one", "two")]
    assert prints[0] == prints[1]
    write(one / "model.safetensors", "y")
    assert preflight.model_fingerprint(str(one)) != prints[0]
    assert preflight.model_fingerprint("scratch") != preflight.model_fingerprint("scratch:4x256")


def test_a_full_disk_is_named_with_what_is_free_and_what_is_needed(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40, 2**29))
    model = tmp_path / "bert"
    write(model / "config.json", "{}")
    write(model / "model.safetensors", "x" * 2**20)
    run = tmp_path / "runs" / "new"
    assert preflight.disk_problems(run, str(model), weights=2) == []
    ((place, text),) = found(preflight.disk_problems(run, str(model), weights=100))
    assert place == "storage"
    assert text == f"0.5 GiB free at {tmp_path}, the run needs 0.6 GiB"


def test_storage_that_is_a_file_or_closed_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "file", "")
    (problem,) = preflight.disk_problems(tmp_path / "file" / "run", "scratch", 1)
    assert "is no folder" in problem.text
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (problem,) = preflight.disk_problems(tmp_path / "run", "scratch", 1)
    assert "cannot be written" in problem.text


@pytest.mark.parametrize(
    ("lanes", "cluster", "count"),
    [
        (Lanes(), {"CPU": 8}, 8),
        (Lanes(cpus=2, workers=2), {"CPU": 8}, 2),
        (Lanes(cpus=1.1, workers=10), {"CPU": 11}, 1),
        (Lanes(), {"CPU": 64, "GPU": 4}, 4),
        (Lanes(workers=4), {"CPU": 64, "GPU": 4}, 1),
        (Lanes(gpus=0.25), {"CPU": 64, "GPU": 4}, 16),
        (Lanes(gpus=0), {"CPU": 8, "GPU": 4}, 8),
        (Lanes(workers=3), {"CPU": 2}, 0),
        (Lanes(gpus=1), {"CPU": 2}, 0),
        (Lanes(per_gpu=2), {"CPU": 64, "GPU": 4}, 8),
        (Lanes(per_gpu=2), {"CPU": 6, "GPU": 4}, 6),
        (Lanes(per_gpu="auto"), {"CPU": 64, "GPU": 4}, 32),
        (Lanes(per_gpu=2), {"CPU": 6}, 0),
    ],
)
def test_a_cluster_holds_as_many_lanes_as_its_scarcest_resource(lanes, cluster, count):
    assert lanes.fit(cluster) == count


@pytest.mark.parametrize(
    ("lanes", "nodes", "count"),
    [
        (Lanes(gpus=0.5), [{"CPU": 8, "GPU": 1}], 2),
        (Lanes(gpus=0.5), [{"CPU": 8, "GPU": 2}, {"CPU": 1, "GPU": 1}], 5),
        (Lanes(gpus=0.5, workers=2), [{"CPU": 8, "GPU": 2}, {"CPU": 1, "GPU": 1}], 2),
        (Lanes(gpus=0.6), [{"CPU": 8, "GPU": 2}], 2),  # 0.4 of each device stays free
        (Lanes(gpus=0.33), [{"CPU": 8, "GPU": 1}], 3),
        (Lanes(gpus=2), [{"CPU": 8, "GPU": 3}, {"CPU": 8, "GPU": 1}], 1),
        (Lanes(cpus=2), [{"CPU": 3}, {"CPU": 3}], 2),  # a worker lies on one node
        (Lanes(workers=4), [{"CPU": 3}, {"CPU": 3}], 1),  # those of a lane may lie on several
        (Lanes(), [{"CPU": 0}, {"CPU": 4}, {"CPU": 2, "GPU": 1}], 1),
        (Lanes(), [], 0),
    ],
)
def test_nodes_hold_as_many_lanes_as_their_workers_make(lanes, nodes, count):
    assert lanes.fit(*nodes) == count


@pytest.mark.parametrize(
    ("lanes", "text"),
    [
        (Lanes(count=0), "0 asked for, at least 1 would do"),
        (Lanes(workers=0), "0 workers in a lane, at least 1 would do"),
        (Lanes(cpus=0), "0 cores for a worker, a number above 0 would do"),
        (Lanes(cpus=float("nan")), "nan cores for a worker, a number above 0 would do"),
        (Lanes(gpus=1.5), "1.5 GPUs for a worker; a whole number, or a fraction of one GPU, would"),
        (Lanes(gpus=-1), "-1 GPUs for a worker; a whole number, or a fraction of one GPU, would"),
    ],
)
@pytest.mark.parametrize("cluster", [None, {"CPU": 2, "GPU": 8}])
def test_lanes_that_no_cluster_can_have_are_refused(lanes, text, cluster):
    ((place, found_text),) = found(preflight.lane_problems(lanes, cluster))
    assert (place, found_text[: len(text)]) == ("lanes", text)


@pytest.mark.parametrize("count", range(1, 49))
def test_so_many_lanes_as_are_to_share_a_gpu_fit_on_it_and_no_more(count):
    lanes = Lanes(per_gpu=count)
    parts = round(10_000 * lanes.needs({})["GPU"])  # as Ray counts
    assert 10_000 // parts == count
    assert lanes.fit({"CPU": 999, "GPU": 1}) == count


GPUS, NONE = {"CPU": 8, "GPU": 2}, {"CPU": 8, "GPU": 0}


@pytest.mark.parametrize(
    ("lanes", "cluster", "text"),
    [
        (Lanes(per_gpu=0), GPUS, "0 lanes on a GPU; 1 to 48, or auto, would do"),
        (Lanes(per_gpu=49), None, "49 lanes on a GPU; 1 to 48, or auto, would do"),
        (Lanes(per_gpu=2, gpus=0.5), GPUS, "one of them would do"),
        (Lanes(per_gpu=2), NONE, "there is no GPU here; lanes share the cores, for which --lanes"),
        (Lanes(per_gpu="auto"), NONE, "there is no GPU here"),
        (Lanes(per_gpu="auto"), None, "measures the GPUs of this machine alone; with --address a"),
        (Lanes(per_gpu=2, workers=2), GPUS, "2 workers of a lane may come to share a GPU, which"),
        (Lanes(gpus=0.5, workers=2), GPUS, "1 lane on a GPU, or 1 worker in a lane, would do"),
        (Lanes(mps=True), GPUS, "--mps is for lanes that share a GPU; --lanes-per-gpu would do"),
        (Lanes(mps=True, per_gpu=2), None, "--mps starts NVIDIA's MPS on this machine alone"),
    ],
)
def test_lanes_that_cannot_share_gpus_are_refused(lanes, cluster, text):
    ((place, found_text),) = found(preflight.lane_problems(lanes, cluster))
    assert place == "lanes"
    assert text in found_text


@pytest.mark.parametrize(
    ("lanes", "cluster"),
    [
        (Lanes(per_gpu="auto"), GPUS),
        (Lanes(per_gpu=4, mps=True), GPUS),
        (Lanes(gpus=0.5, mps=True), GPUS),
        (Lanes(per_gpu=3), None),
        (Lanes(per_gpu=1, workers=2), GPUS),
        (Lanes(gpus=0.6, workers=2), GPUS),  # a device holds one such worker
    ],
)
def test_lanes_that_can_share_gpus_are_not_refused(lanes, cluster):
    assert preflight.lane_problems(lanes, cluster) == []


def test_lanes_of_a_cluster_whose_nodes_come_and_go_are_not_compared_with_anything():
    assert preflight.lane_problems(Lanes(count=500, gpus=8), None) == []


def test_a_lane_larger_than_the_cluster_is_refused_with_both_sizes():
    ((place, text),) = found(preflight.lane_problems(Lanes(workers=4, cpus=2), {"CPU": 2}))
    assert place == "lanes"
    assert text.startswith("a lane needs 8 CPU, the cluster has 2 CPU")
    ((_, text),) = found(preflight.lane_problems(Lanes(gpus=1), {"CPU": 2}))
    assert text.startswith("a lane needs 1 CPU, 1 GPU, the cluster has 2 CPU, 0 GPU")


@pytest.mark.parametrize(
    ("lanes", "cluster", "advice"),
    [
        (Lanes(workers=4), {"CPU": 2}, "fewer workers in a lane (--workers-per-lane) would do"),
        (Lanes(gpus=1), {"CPU": 2}, "fewer GPUs for a worker (--gpus-per-worker), 0 where there"),
        (Lanes(gpus=2), {"CPU": 2, "GPU": 1}, "fewer GPUs for a worker (--gpus-per-worker) would"),
        (Lanes(cpus=3), {"CPU": 2}, "fewer cores (--cpus-per-worker) would do"),
    ],
)
def test_a_lane_that_does_not_fit_is_told_what_to_lower(lanes, cluster, advice):
    ((_, text),) = found(preflight.lane_problems(lanes, cluster))
    assert advice in text


def test_the_data_of_a_generated_task_are_looked_at_without_a_folder():
    read = study.parse({"tasks": ["toy/grammar", "glue/rte"], "model": "scratch"})
    survey = preflight.survey(read, None)
    assert survey.sizes == {"toy/grammar": {"train": 3000, "dev": 500}}
    assert survey.problems == []


@pytest.mark.parametrize("count", [0, -3])
def test_no_lanes_at_all_are_refused(count):
    ((_, text),) = found(preflight.lane_problems(Lanes.coerce(count), {"CPU": 2}))
    assert text == f"{count} asked for, at least 1 would do"


def test_more_lanes_than_the_cluster_holds_are_refused():
    ((_, text),) = found(preflight.lane_problems(Lanes(count=3), {"CPU": 2}))
    assert text == "3 lanes of 1 CPU asked for, the cluster has 2 CPU: at most 2"
    assert preflight.lane_problems(Lanes(count=2), {"CPU": 2}) == []


def test_schedules_without_a_step_are_refused_and_strange_ones_told(data):
    """Three rows: one step an epoch."""
    fixed = {"BSZ": 8, "evaluations": 1}
    wrong = searched(RTE, fixed=fixed, space={"EPOCH": {"uniform": [0.5, 3]}})
    (problem,) = preflight.survey(wrong, data).problems
    assert problem.location == RTE
    assert problem.text == (
        "EPOCH 0.5 of an epoch of 1 step is less than one step, of 3 examples: "
        "a larger EPOCH or a smaller BSZ would do"
    )
    space = {"WARMUP": {"choice": [{"steps": 9}, 0.1]}}
    told = preflight.survey(searched(RTE, fixed={**fixed, "EPOCH": 3}, space=space), data)
    assert told.problems == []
    assert told.notes == [
        "glue/rte WARMUP of 9 steps takes the whole schedule of 3: the learning rate never falls"
    ]


@pytest.mark.parametrize(
    ("parts", "lanes", "cluster", "is_told"),
    [
        ({"fixed": {"precision": "fp16"}}, Lanes(), {"CPU": 2}, True),
        ({"fixed": {"precision": "fp16"}}, Lanes(gpus=0), None, True),
        ({"space": {"precision": {"choice": ["bf16", "fp16"]}}}, Lanes(), {"CPU": 2}, True),
        ({"fixed": {"precision": "fp16"}}, Lanes(), {"CPU": 2, "GPU": 1}, False),
        ({"fixed": {"precision": "fp16"}}, Lanes(), None, False),
        ({"fixed": {"precision": "bf16"}}, Lanes(), {"CPU": 2}, False),
    ],
)
def test_fp16_is_told_where_lanes_have_no_gpu(parts, lanes, cluster, is_told):
    notes = preflight.precision_notes(searched(RTE, **parts), lanes, cluster)
    told = "precision fp16 without a GPU: most CPUs have no arithmetic in float16, a step takes "
    told += "many times as long as with --set precision=fp32"
    assert notes == [told] * is_told


def test_of_several_tasks_those_with_fp16_are_named():
    part = {"glue/mrpc": {"fixed": {"precision": "fp16"}}}
    (note,) = preflight.precision_notes(searched(RTE, MRPC, per_task=part), Lanes(), {"CPU": 2})
    assert note.startswith("glue/mrpc: precision fp16 without a GPU")


UNKNOWN = SimpleNamespace(headers={}, request=None)  # a response


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(-2, "Name or service not known"), "hf download owner/none --local-dir FOLDER"),
        (OfflineModeIsEnabled("offline"), "unset HF_HUB_OFFLINE where there is a network"),
        (HfHubHTTPError("401", response=UNKNOWN), "the hub answers: is the name right?"),
    ],
)
def test_of_a_model_that_the_hub_does_not_give_the_cure_is_told(monkeypatch, error, cure):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", fail)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    (problem,) = preflight.hub_problems("hub:owner/none")
    assert (problem.location, problem.page) == ("model", HUB)
    assert problem.text.startswith("'hub:owner/none' cannot be read as a hub name: ")
    assert cure in problem.text
