"""How accurate are models on test sets that were collected elsewhere, and is it more than
clean accuracy makes one expect?

A line through ordinary ImageNet classifiers is the expectation; a model's height above it
is its effective robustness (Taori et al., 2020). https://arxiv.org/abs/2007.00644
"""

from jclip.studies.shift.compared import compare
from jclip.studies.shift.measured import measure
from jclip.studies.shift.options import Options
from jclip.studies.shift.summary import summarise
from jclip.studies.study import Study

STUDY = Study(
    name="shift",
    question="How well do models do on shifted images, for their clean accuracy?",
    reading=(
        "Each shift is set against the clean images of its classes. The line is what "
        "ImageNet classifiers without more data or interventions reach; the height of a "
        "model above it, in percentage points, is its effective robustness. On the dashed "
        "diagonal a shift costs nothing. Of films, pm-0 is the accuracy of single frames, "
        "and pm-10 asks that all frames around are right too. Bars in the figure are "
        "exact 99.5 % intervals, brackets in tables 95 %."
    ),
    roles=("test", "shift", "video"),
    measure=measure,
    summarise=summarise,
    compare=compare,
    options=Options(),
)
