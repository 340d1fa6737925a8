"""Networks by the export road, small and shaken, beside PyTorch's own answers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from converters import rules
from converters.export import Captured, capture
from jclip.models.head import Head
from jclip.models.model import Arch, Model

HALF = (0.5, 0.5, 0.5)
CLASSES = 7


class Tiny(nn.Module):
    """A convolution, a norm with statistics, and attention with an index buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.BatchNorm2d(8)
        self.qkv = nn.Linear(8, 24)
        self.table = nn.Parameter(torch.zeros(5, 2))
        self.register_buffer("where", torch.arange(16).reshape(4, 4) % 5)
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x)).relu().flatten(2).mT
        b, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
        bias = self.table[self.where].permute(2, 0, 1)
        weights = (q @ k.mT / 2 + bias).softmax(-1)
        return self.fc((weights @ v).transpose(1, 2).reshape(b, t, 8).mean(1))


def port(network: nn.Module, size: int) -> tuple[Captured, Model]:
    """The network as steps, and as a jclip model."""
    captured = capture(network, size, "tiny")
    arrays = {name: t.detach().numpy() for name, t in captured.tensors.items()}
    tree: dict[str, Any] = jax.tree.map(jnp.asarray, rules.nested(arrays))
    names = tuple(map(str, range(tree["head"]["weight"].shape[1])))
    head = Head(**tree["head"], scale=jnp.float32(1), classes=names, normalise=False)
    arch = Arch(captured.tower, None, None, HALF, HALF)
    return captured, Model(tree["params"], tree.get("stats", {}), head, arch)


def pixels(size: int, batch: int = 3) -> np.ndarray:
    """Noise in [0, 1]."""
    return np.random.default_rng(0).random((batch, size, size, 3), np.float32)


def inputs(pixels: np.ndarray) -> torch.Tensor:
    """The same as PyTorch's networks take them."""
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) - 0.5) / 0.5
