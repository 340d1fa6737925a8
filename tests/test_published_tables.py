"""Published tables become fractions under jclip's names, and mixed units are refused."""

import json
from collections import Counter

import pytest

from jclip.report.published import FORMATS, read_table
from jclip.report.published.number import Cell, fractions
from jclip.report.published.testbed import group, standard
from jclip.report.style import GROUPS


def values(numbers):
    return {number[:4]: number.value for number in numbers}


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def testbed(shared):
    path = shared / "published-results" / "imagenet_testbed_robustness_top1s.csv"
    kind, numbers = read_table(path)
    assert kind.name == "testbed"
    return numbers


def test_the_testbeds_table_is_read_as_fractions(testbed):
    found = values(testbed)
    assert len({n.model for n in testbed}) == 338
    for dataset, metric, expected in [
        ("imagenet-1k", "top1", 0.76130),
        ("imagenet-v2-mf", "top1", 0.6321),
        ("imagenet-v2-mf-original", "top1", 0.6333),
        ("imagenet-a", "top1", 0.0),
        ("imagenet-a", "clean_top1", 0.9186),
        ("imagenet-vid-robust", "pm10", 0.5248),
        ("ytbb-robust", "pm0", 0.5704),
    ]:
        value = found["resnet50", dataset, metric, ""]
        assert value == pytest.approx(expected, abs=6e-5)
    corruption = "resnet50", "imagenet-c", "top1", "contrast:1"
    assert 0.5 < found[corruption] < 0.8
    assert ("resnet50", "imagenet-c-in-memory", "top1", "contrast:1") in found
    assert 0 < found["resnet50", "imagenet-1k", "top1", "pgd.linf.eps0.5"] < 0.5


def test_the_testbeds_groups_are_told_by_name_and_85_models_are_standard(testbed):
    fitted = standard(testbed)
    assert len(fitted) == 85 and {"alexnet", "resnet50", "resnet50_swav"} <= {*fitted}
    counts = Counter(group(model) for model in {n.model for n in testbed})
    assert {*counts} <= {*GROUPS}
    assert counts["CLIP zero-shot"] == 2 and counts["pre-trained on more data"] == 41
    assert counts["Lp-adversarial"] == 16 and counts["robustness intervention"] == 70


@pytest.mark.parametrize(
    ("file", "model", "expected"),
    [
        (
            "openclip_results.csv",
            "ViT-B-32.openai",
            {
                "imagenet-1k": 0.6332,
                "imagenet-a": 0.3155,
                "objectnet-own-names": 0.4431,
            },
        ),
        (
            "clip_benchmark.csv",
            "ViT-B-32.openai",
            {"imagenet-1k": 0.6333, "imagenet-sketch": 0.4230, "imagenet-r": 0.6932},
        ),
        ("timm_results-imagenet.csv", "resnet50.tv_in1k", {"imagenet-1k": 0.7616}),
        ("timm_results-sketch.csv", "resnet50.tv_in1k", {"imagenet-sketch": 0.2406}),
        ("timm_results-imagenet-r.csv", "resnet50.tv_in1k", {"imagenet-r": 0.3616}),
    ],
)
def test_accuracies_are_those_of_the_literature(shared, file, model, expected):
    _, numbers = read_table(shared / "published-results" / file)
    found = values(numbers)
    for dataset, value in expected.items():
        assert found[model, dataset, "top1", ""] == pytest.approx(value, abs=6e-5)


def test_every_published_table_is_read_and_its_numbers_are_shares(shared):
    kinds = {"testbed"}
    for path in (shared / "published-results").glob("[!i]*.csv"):
        kind, numbers = read_table(path)
        kinds.add(kind.name)
        assert len(numbers) > 1000 and all(0 <= n.value <= 1 for n in numbers)
    assert kinds == {"testbed", "open_clip", "timm", "CLIP_benchmark"}
    assert kinds <= {kind.name for kind in FORMATS}


def test_open_clips_retrieval_is_the_mean_of_both_directions(shared):
    folder = shared / "published-results"
    found = values(read_table(folder / "openclip_retrieval_results.csv")[1])
    table = read_table(folder / "openclip_results.csv")[1]
    means = [n for n in table if n.metric == "mean_recall@1"]
    assert len(means) > 200
    for number in means:
        both = (
            found[number.model, number.dataset, f"{of}_recall@1", ""]
            for of in ("image", "text")
        )
        assert number.value == pytest.approx(sum(both) / 2, abs=1.01e-4)


def test_a_model_at_several_sizes_has_the_size_in_its_name(shared):
    _, numbers = read_table(shared / "published-results" / "timm_results-imagenet.csv")
    name = "convnextv2_large.fcmae_ft_in22k_in1k"
    found = {n.model for n in numbers if n.model.split("@")[0] == name}
    assert found == {f"{name}@224", f"{name}@288"}


def test_clip_benchmarks_json_is_read_alone_and_in_lists(tmp_path):
    result = {
        "dataset": "wds/imagenet1k",
        "model": "ViT-B-32",
        "pretrained": "openai",
        "task": "zeroshot_classification",
        "metrics": {"acc1": 0.6333, "acc5": 0.8883, "mean_per_class_recall": 0.6334},
        "language": "en",
    }
    one = write(tmp_path / "one.json", json.dumps(result))
    kind, numbers = read_table(one)
    assert kind.name == "CLIP_benchmark"
    assert values(numbers) == {
        ("ViT-B-32.openai", "imagenet-1k", metric, ""): value
        for metric, value in [
            ("top1", 0.6333),
            ("top5", 0.8883),
            ("mean_per_class", 0.6334),
        ]
    }
    many = write(
        tmp_path / "many.json", json.dumps([result, {**result, "dataset": "x"}])
    )
    assert len(read_table(many)[1]) == 6


def test_steps_are_half_of_the_last_digit():
    cells = [Cell("m", "val", "76.13"), Cell("m", "x", "70"), Cell("m", "y", "6.5e1")]
    steps = [number.step for number in fractions(cells, {})]
    assert steps == pytest.approx([5e-5, 5e-3, 5e-3])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,0.7,0.5", "b,70.1,50.2"], "no model value of these exceeds 1.5.*: a"),
        (["a,0.71,50.0", "b,0.72,51.0"], "no column value of these exceeds 1.5.*: val"),
        (["a,76.1,-1", "b,70,60"], r"outside 0 to 100: '-1' \(a, imagenet-a\)"),
        (["a,76.1,101", "b,70,60"], "outside 0 to 100: '101'"),
        (["a,0.9,1.2", "b,0.7,0.6"], "outside 0 to 1: '1.2'"),
        (["a,x,50", "b,70,nan"], "no number: 'x' .*, 'nan'"),
        (["a,70,50", "a,71,52"], "two numbers for a, imagenet-1k, top1"),
        (["a,70"], "more or fewer values"),
        (["a,70,50,3"], "more or fewer values"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, rows, message):
    path = write(tmp_path / "t.csv", "\n".join(["model,val,imagenet-a", *rows]))
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_empty_cells_and_columns_of_zeros_are_no_problem(tmp_path):
    path = write(tmp_path / "t.csv", "model,val,imagenet-a\na,76.1,0.0\nb,,0.0\n")
    assert [n.value for n in read_table(path)[1]] == pytest.approx([0.761, 0, 0])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "a,b\n1,2\n", r"no known table; known by their columns.*testbed"),
        ("t.csv", "", "no known table"),
        ("t.json", "{}", "expected results with dataset, model"),
        ("t.json", "{", "t.json: "),
        ("t.csv", 'model,val\n"a,70\n', "t.csv: "),
        ("results-x.csv", "model,img_size,top1,top5\na,224,70,90\n", "keep the name"),
    ],
)
def test_other_files_are_refused(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / name, text))


def test_a_missing_file_and_other_encodings_are_said(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"model,val\n\xff,1\n")
    with pytest.raises(ValueError, match=r"t\.csv: .*utf-8"):
        read_table(tmp_path / "t.csv")
