"""What each operator of a captured network is in JAX: `LOWERINGS`.

Names are ATen's, with the overload: "add.Tensor". Those on sizes are Python's own, and
are answered while JAX traces, so a batch of any size is a program of its own.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from jclip.models.exported.aten_convolution import CONVOLUTION
from jclip.models.exported.aten_creation import CREATION
from jclip.models.exported.aten_elementwise import ELEMENTWISE
from jclip.models.exported.aten_index import INDEX
from jclip.models.exported.aten_norm import NORM
from jclip.models.exported.aten_pooling import POOLING
from jclip.models.exported.aten_reduction import REDUCTION
from jclip.models.exported.aten_resize import RESIZE
from jclip.models.exported.aten_shape import SHAPE

ON_SIZES = {
    **{f"python.{name}": getattr(operator, name) for name in ("add", "sub", "mul")},
    **{f"python.{n}": getattr(operator, n) for n in ("floordiv", "truediv", "mod")},
    **{f"python.{n}": getattr(operator, n) for n in ("neg", "pow", "getitem")},
    **{f"python.{n}": getattr(operator, n) for n in ("eq", "ne", "lt", "le")},
    **{f"python.{n}": getattr(operator, n) for n in ("gt", "ge", "and_", "or_")},
    **{"python.sym_max": max, "python.sym_min": min, "python.sym_not": operator.not_},
    **{"python.sym_float": float, "python.sym_int": int, "python.ceil": math.ceil},
    **{"python.floor": math.floor, "python.trunc": math.trunc, "python.round": round},
    "sym_size.int": lambda x, axis: x.shape[axis],
    "sym_numel.default": lambda x: x.size,
}
LOWERINGS: Mapping[str, Callable[..., Any]] = {
    **ELEMENTWISE,
    **SHAPE,
    **CREATION,
    **REDUCTION,
    **NORM,
    **CONVOLUTION,
    **POOLING,
    **INDEX,
    **RESIZE,
    **ON_SIZES,
}
# These take float32 statistics beside inputs of a shorter type.
MIXED = frozenset(NORM)
