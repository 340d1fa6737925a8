"""The block of mobile networks: expand, mix over pixels, gate, project, and add.

MobileNetV2's inverted residual (Sandler et al., 2018, https://arxiv.org/abs/1801.04381)
and what its successors made of it.
"""

import dataclasses
from typing import Any

import jax
from flax import linen as nn

from jclip.arrays import Array, Float
from jclip.models.conv_norm import Conv, ConvNorm
from jclip.models.gates import Excitation, Gate

LAYERS = ("gather", "expand", "mix", "project")


@dataclasses.dataclass(frozen=True)
class Block:
    """`repeats` residual blocks of one shape in a row; what a block lacks is None.

    Attributes:
      gather: space to depth, a convolution of 2x2 pixels with stride 2.
      expand: to the hidden width; with a kernel beyond 1x1, the fused MBConv.
      mix: over pixels, mostly depthwise; a lone one is a plain convolution.
      gate: on the hidden channels, before `project`.
      project: to the block's width.
      skip: whether the input is added.
    """

    gather: Conv | None
    expand: Conv | None
    mix: Conv | None
    gate: Gate | None
    project: Conv | None
    skip: bool
    repeats: int = 1

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Block":
        """The record whose `dataclasses.asdict` this is."""
        present = {name: fields[name] for name in LAYERS if fields[name] is not None}
        convs = {name: Conv.from_dict(conv) for name, conv in present.items()}
        gate = fields["gate"] and Gate(**fields["gate"])
        return cls(**{**fields, **convs, "gate": gate})

    @property
    def layers(self) -> dict[str, Conv]:
        """The convolutions that the block has, in order."""
        layers = {name: getattr(self, name) for name in LAYERS}
        return {name: conv for name, conv in layers.items() if conv is not None}


class Residual(nn.Module):
    """One block; `__call__` has the shape that `nn.scan` wants."""

    shape: Block

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], _: None) -> tuple[Array, None]:
        s, y, weights = self.shape, x, None
        experts = max(conv.experts for conv in s.layers.values())
        if experts:
            logits = nn.Dense(experts, name="routing")(x.mean((1, 2)))
            weights = jax.nn.sigmoid(logits)
        for name, conv in s.layers.items():
            if name == "project" and s.gate is not None:
                y = Excitation(s.gate, name="gate")(y)
            y = ConvNorm(conv, name=name)(y, weights)
        return (x + y if s.skip else y), None
