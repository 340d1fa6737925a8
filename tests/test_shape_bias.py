"""The study of shape bias: oracles, published answers, and real logits."""

import dataclasses
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from jclip.data.cue_conflict import cues
from jclip.data.labels import label_space
from jclip.data.published import read_published
from jclip.data.world import oracles
from jclip.models.head import Head
from jclip.report.figures import NARROW, svg
from jclip.studies.published import published_subject
from jclip.studies.shape_bias import STUDY, Options
from jclip.studies.study import run_studies, with_options
from jclip.studies.subject import Answers, Outputs, Subject
from jclip.types import Facts, Row
from tests.world_subjects import oracle_subject

CONFLICTS = "world-cue-conflict"
RESPONSES = "cue-conflict-256/responses/style-transfer-512-nomask-experiment"
SPACE = label_space("cue-conflict")


def values(subject, options=None):
    rows = STUDY.measure(subject, options or Options())
    return {(row.dataset, row.metric, row.slice): row for row in rows}


def test_a_reader_of_shapes_has_bias_one_and_one_of_textures_none():
    for oracle, expected in [(oracles.reads_shape, 1), (oracles.reads_texture, 0)]:
        rows = values(oracle_subject("m", oracle, CONFLICTS, "world-test"))
        assert rows[CONFLICTS, "shape_bias", ""].value == expected
        assert rows[CONFLICTS, "shape_match", ""].value == expected
        assert rows[CONFLICTS, "texture_match", ""].value == 1 - expected
        assert rows[CONFLICTS, "decided", ""].value == 1
        categories = {part for _, _, part in rows if part}
        assert len(categories) == 16
        for part in categories:
            assert rows[CONFLICTS, "shape_bias", part].value == expected
        clean = rows[CONFLICTS, "clean_top1", ""]
        assert clean.n == 1280 and (clean.value == 1) == bool(expected)


def test_half_of_each_has_a_bias_of_one_half():
    def both(scenes):
        shape, texture = oracles.reads_shape(scenes), oracles.reads_texture(scenes)
        return np.where(np.arange(len(scenes))[:, None] % 2, shape, texture)

    row = values(oracle_subject("m", both, CONFLICTS))[CONFLICTS, "shape_bias", ""]
    assert row.value == pytest.approx(0.5, abs=0.03) and row.low < 0.5 < row.high


def test_who_names_neither_has_no_bias_and_the_report_says_so():
    def third(scenes):
        named = oracles.reads_shape(scenes) + oracles.reads_texture(scenes)
        return -named

    subjects = [oracle_subject("m", third, CONFLICTS)]
    findings = run_studies([STUDY], subjects)
    assert not [row for row in findings.rows if row.metric == "shape_bias"]
    assert findings.skipped == (
        f"shape_bias: m names neither shape nor texture in {CONFLICTS}",
    )
    assert {row.value for row in findings.rows if row.metric == "decided"} == {0}


def people(shared):
    return sorted((shared / RESPONSES).glob("*subject*"))


def test_published_answers_are_subjects(shared):
    (path,) = (shared / RESPONSES).glob("*googlenet*")
    row = values(published_subject(read_published(path)))[
        "cue-conflict", "shape_bias", ""
    ]
    assert (row.model, row.method) == ("googlenet", "published")
    assert row.value == pytest.approx(0.3119, abs=5e-5)
    biases = [
        values(published_subject(read_published(p)))["cue-conflict", "shape_bias", ""]
        for p in people(shared)
    ]
    assert np.mean([row.value for row in biases]) == pytest.approx(0.9576, abs=5e-5)


def test_the_errors_of_a_person_are_compared_with_those_of_all(shared):
    options = Options(people=str(shared / RESPONSES))
    person = values(published_subject(read_published(people(shared)[0])), options)
    (path,) = (shared / RESPONSES).glob("*alexnet*")
    network = values(published_subject(read_published(path)), options)
    key = "cue-conflict", "error_consistency", ""
    assert network[key].high < person[key].low and person[key].n == 1200
    findings = run_studies(
        [dataclasses.replace(STUDY, options=options)],
        [oracle_subject("m", oracles.reads_texture, CONFLICTS)],
    )
    assert "other categories than those that people chose" in findings.skipped[0]


def test_a_folder_without_people_is_an_error(tmp_path):
    subject = oracle_subject("m", oracles.reads_shape, CONFLICTS)
    with pytest.raises(ValueError, match=r"has no file \*subject\*\.csv"):
        values(subject, Options(people=str(tmp_path)))


def network(shared, name):
    """A real classifier on the 256 images, from the logits that PyTorch gave."""
    with np.load(shared / "reference-logits" / f"{name}.cue256.npz") as file:
        names, logits = tuple(file["files"].tolist()), file["logits"].astype("f4")
    wnids = SPACE.base_classes
    own = Head(jnp.eye(1000), jnp.zeros(1000), jnp.float32(1), wnids, False)
    shapes, textures = cues(names, SPACE)
    head = SPACE.apply(own)
    return Subject(
        name,
        {
            "conflicts": Answers(
                {"label": shapes, "texture": textures},
                SPACE,
                lambda space: np.asarray(space.apply(own)(logits)),
                lambda: Outputs(np.asarray(head(logits)), logits, head, False, False),
                names=names,
                role="cue-conflict",
            )
        },
    ), dict(zip(names, logits))


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "squeezenet1_1_onnxzoo", "mobilenetv2_100_coral"]
)
@pytest.mark.parametrize("response", ["mean_of_1000", "sum", "max"])
def test_real_logits_give_what_a_plain_script_gives(shared, name, response):
    subject, logits = network(shared, name)
    ids = json.loads(
        (shared / "cue-conflict-256" / "geirhos_16_to_imagenet1k.json").read_text()
    )
    pool = {"mean_of_1000": np.mean, "sum": np.sum, "max": np.max}[response]
    named = {"shape": 0, "texture": 0, "third": 0}
    for file, z in logits.items():
        shape, texture = re.fullmatch(r"([a-z]+)\d+-([a-z]+)\d+\.png", file).groups()
        if shape == texture:
            continue
        p = np.exp(z.astype(float) - z.max())
        p /= p.sum()
        answer = max(ids, key=lambda category: pool(p[ids[category]]))
        kind = {shape: "shape", texture: "texture"}.get(answer, "third")
        named[kind] += 1
    rows = values(subject, Options(response=response))
    found = {metric: row for (_, metric, part), row in rows.items() if not part}
    decided = named["shape"] + named["texture"]
    assert found["shape_bias"].value == named["shape"] / decided
    assert found["shape_bias"].n == decided
    assert found["texture_match"].value == pytest.approx(named["texture"] / 240)
    expected = "" if response == "mean_of_1000" else response
    assert found["decided"].method == expected


def test_the_sum_favours_categories_with_many_members(shared):
    subject, _ = network(shared, "tf_efficientnet_lite0")
    counts = {}
    for response in ("mean_of_1000", "sum"):
        rows = values(subject, Options(response=response))
        counts[response] = rows["conflicts", "shape_bias", ""].value
    assert counts["sum"] != counts["mean_of_1000"]


def test_the_fitted_scale_is_that_of_half_of_the_clean_set(shared):
    """With a temperature the probabilities are flatter, and the sum feels it."""
    subject, logits = network(shared, "tf_efficientnet_lite0")
    rng = np.random.default_rng(0)
    # Overconfident by a factor of four.
    clean = rng.normal(size=(4000, 1000)).astype(np.float32)
    labels = (clean + rng.gumbel(size=clean.shape)).argmax(axis=1).astype(np.int32)
    answers = dict(subject._answers)
    answers["conflicts"] = dataclasses.replace(answers["conflicts"], against="clean")
    answers["clean"] = Answers(
        {"label": labels}, label_space("imagenet-1k"), lambda space: 4 * clean
    )
    with pytest.raises(ValueError, match="has not answered 'clean', the clean set of"):
        only = {"conflicts": answers["conflicts"]}
        values(Subject("m", only), Options(scale="fitted"))
    options = Options(response="sum", scale="fitted")
    rows = values(Subject("m", answers), options)
    ids = [list(members) for _, members in SPACE.groups]
    flat = np.exp(np.stack([*logits.values()]).astype(float) / 4)
    named = np.stack([flat[:, each].sum(axis=1) for each in ids]).argmax(axis=0)
    shapes, textures = cues(tuple(logits), SPACE)
    conflict = shapes != textures
    row = rows["conflicts", "shape_match", ""]
    expected = (named == shapes)[conflict].mean()
    assert row.value == pytest.approx(expected, abs=2.5 / 240)
    assert row.method == "sum, fitted"
    learned = values(Subject("m", answers), Options(response="sum"))
    assert learned["conflicts", "shape_match", ""].value != row.value


def test_options_are_checked():
    with pytest.raises(ValueError, match="did you mean 'sum'"):
        with_options([STUDY], ["shape_bias.response=sums"])
    with pytest.raises(ValueError, match="known: bootstrap, wilson"):
        with_options([STUDY], ["shape_bias.interval=x"])


def test_a_set_without_textures_is_a_problem():
    subject = oracle_subject("m", oracles.reads_shape, "world-test")
    subject._answers["world-test"] = dataclasses.replace(
        subject._answers["world-test"],
        role="cue-conflict",
        columns={"label": np.zeros(1)},
    )
    with pytest.raises(ValueError, match="world-test does not say whose texture"):
        values(subject)


def test_tables_and_figures_hold_every_row():
    subjects = [
        oracle_subject("a", oracles.reads_shape, CONFLICTS, "world-test"),
        oracle_subject("b", oracles.reads_texture, CONFLICTS, "world-test"),
    ]
    findings = run_studies([STUDY], subjects)
    overall, by_category = findings.tables
    assert len(overall.lines()) == 2 and len(by_category.columns) == 16
    cells = [c for t in findings.tables for _, line in t.lines() for c in line]
    assert None not in cells and len(cells) == 2 * (5 + 16)
    dots, strips, plot = findings.figures
    assert len(dots.rows) == len(strips.rows) == 2 and len(plot.rows) == 2 * 17
    for figure in findings.figures:
        assert svg(figure, findings.facts, NARROW).startswith("<svg")


def test_models_that_differ_in_input_size_are_shown_by_it():
    same = {"group": "CLIP zero-shot", "architecture": "vit", "patch": 16}
    facts = {
        "a": Facts(**same, input_size=224, gflops=17.0),
        "b": Facts(**same, input_size=384, gflops=55.0),
        "c": Facts(group="CLIP zero-shot", input_size=224),
        "d": Facts(),
    }
    rows = [
        Row(model, "x", "shape_bias", 0.1 * i, 9, 0.0, 1.0)
        for i, model in enumerate(facts, 1)
    ]
    *_, scatter = STUDY.summarise(rows, facts).figures
    (panel,) = scatter.panels
    assert {point.y.model for point in panel.points} == {"a", "b", "c"}
    (curve,) = panel.curves
    assert (curve.x, curve.y) == ((224, 384), (0.1, 0.2))
    few = {
        model: dataclasses.replace(each, input_size=224)
        for model, each in facts.items()
    }
    names = [figure.name for figure in STUDY.summarise(rows, few).figures]
    assert scatter.name not in names and len(names) == 3
