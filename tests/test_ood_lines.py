"""Lines through zero-shot models of one source."""

import pytest

from jclip.studies.ood import STUDY
from jclip.studies.separation import Options
from jclip.types import Facts, Row


def test_three_models_of_one_source_have_a_line():
    facts = {
        f"m{i}": Facts("CLIP zero-shot", ("laion-2b", "wit")[i > 3]) for i in range(6)
    }
    rows = [
        Row(model, dataset, metric, values[i], 100, method="mcm")
        for i, model in enumerate(facts)
        for dataset in ("rocks", "plants")
        for metric, values in {
            "auroc": (0.6, 0.65, 0.7, 0.85, 0.5, 0.6),
            "fpr95": (0.9, 0.8, 0.7, 0.6, 0.9, 0.9),
            "clean_top1": (0.5, 0.55, 0.6, 0.75, 0.4, 0.5),
        }.items()
    ]
    found = [*STUDY.compare(rows, facts, Options())]
    assert {(row.model, row.n) for row in found} == {("laion-2b", 4)}
    lines = {(r.dataset, r.slice, r.metric): r.value for r in found}
    assert lines["rocks", "auroc", "slope"] == pytest.approx(1)
    assert lines["plants", "auroc", "intercept"] == pytest.approx(0.1)
    assert len(lines) == 8
    summary = STUDY.summarise([*rows, *found], facts)
    (curve,) = summary.figures[1].panels[0].curves
    assert (curve.name, curve.x) == ("laion-2b", (0.5, 0.75))
    assert curve.y == pytest.approx((0.6, 0.85))
    assert all(len(table.lines()) < 20 for table in summary.tables)
