"""The sweep over architectures: resumable, one line each, nothing tried twice."""

import json

import torch

from converters import trial, trials


def test_what_is_there_is_not_tried_again_and_a_cut_line_is(tmp_path, monkeypatch):
    out, tried = tmp_path / "sweep.jsonl", []

    def one(name, most, seconds, library):
        tried.append(name)
        return {"outcome": "ok", "worst": 1e-6}

    monkeypatch.setattr(trials, "one", one)
    trials.sweep(["a", "b"], out, 1e9, 9)
    whole = out.read_text()
    out.write_text(whole[:-9])
    trials.sweep(["a", "b", "c"], out, 1e9, 9)
    assert tried == ["a", "b", "b", "c"]
    assert [r["name"] for r in trials.read(out)] == ["a", "b", "c"]


def test_a_network_that_is_too_big_is_not_built():
    assert trial.parameters("resnet18") == 11_689_512
    found = trials.one("resnet18", 1e6, 60)
    assert found == {"outcome": "too big", "parameters": 11_689_512}


def test_one_that_takes_too_long_is_a_result():
    found = trials.one("resnet18", 1e9, 1)
    assert found == {"outcome": "timed out", "error": "no answer after 1 seconds"}


def test_a_process_that_dies_is_a_result():
    found = trials.one("no_such_architecture", 1e9, 60)
    assert found["outcome"] == "timed out" and "ended with 1" in found["error"]


def test_several_at_a_time_leave_a_line_each(tmp_path):
    names = ["test_resnet", "test_vit"]
    trials.sweep(names, tmp_path / "sweep.jsonl", 1e9, 300, workers=2)
    found = {result["name"]: result for result in trials.read(tmp_path / "sweep.jsonl")}
    assert found.keys() == {*names}
    assert all(result["worst"] <= 1e-5 for result in found.values())


def test_a_trial_says_how_far_the_network_is_from_pytorch():
    found = json.loads(json.dumps(trial.trial("test_resnet")))
    assert found["outcome"] == "ok" and found["worst"] <= 1e-5
    assert found["parameters"] == trial.parameters("test_resnet")
    assert (found["features"], found["kind"]) == ("penultimate", "cnn")


def test_rounding_that_grows_is_told_from_a_fault():
    network = trial.refilled(trial.fresh("starnet_s1"))
    found = trial.compared(network, 224)
    assert found["outcome"] == "rounding" and found["double"] < 1e-7 < found["worst"]


def test_settled_statistics_are_those_of_a_batch():
    network = trial.settled(trial.refilled(trial.fresh("test_resnet")), 64)
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    first, norm = network.conv1[0](2 * x - 1), network.conv1[1]
    moments = first.mean((0, 2, 3)), first.var((0, 2, 3))
    for found, expected in zip((norm.running_mean, norm.running_var), moments):
        torch.testing.assert_close(found, expected)


def test_a_network_of_torchvision_is_tried_at_the_size_of_its_weights():
    found = trial.trial("squeezenet1_1", "torchvision")
    assert found["outcome"] == "ok" and found["features"] == "logits"
    assert found["parameters"] == trial.parameters("squeezenet1_1", "torchvision")


def test_a_sample_is_the_same_each_time_and_of_small_networks_alone():
    names = ["resnet18", "test_resnet", "test_vit", "test_vit2", "test_vit3"]
    first, second = (list(trials.sample(names, 3, 0, 1e7)) for _ in range(2))
    assert first == second and len(first) == 3 and "resnet18" not in first


def test_a_summary_counts_outcomes_and_names_what_failed():
    results = [
        {"name": "a", "outcome": "ok", "worst": 2e-6},
        {"name": "b", "outcome": "uncovered", "error": "op x"},
    ]
    text = trials.summary(results)
    assert "1 ok" in text and "2.0e-06" in text and "b  uncovered  op x" in text


def test_architectures_are_those_with_weights_for_imagenet():
    names = trials.architectures()
    assert len(names) > 900 and {"resnet50", "squeezenet"} & {*names} == {"resnet50"}
