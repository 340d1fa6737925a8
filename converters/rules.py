"""Strict renaming: every source tensor is used or listed, every target is filled once.

A rule is `(pattern, target, transform)`. The pattern must match a source name as a
whole; the target is a replacement as in `re.sub`, or a function of the match. Targets
are paths like "params/image/stem/kernel". `name[3]` in a target is layer 3 of a stack:
the layers are gathered along a new first axis.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

Rule = tuple[str, str | Callable[[re.Match], str], Callable[[np.ndarray], np.ndarray]]


def keep(x: np.ndarray) -> np.ndarray:
    """As it is."""
    return x


def linear(x: np.ndarray) -> np.ndarray:
    """(out, in) to (in, out)."""
    return x.T


def conv(x: np.ndarray) -> np.ndarray:
    """OIHW to HWIO."""
    return x.transpose(2, 3, 1, 0)


def matrix(x: np.ndarray) -> np.ndarray:
    """(out, in), or OIHW of a 1x1 convolution, to (in, out)."""
    return x.reshape(x.shape[:2]).T


def scalar(x: np.ndarray) -> np.ndarray:
    """A number that may be stored with shape [1]."""
    return x.reshape(())


def norm_rules(source: str, target: str) -> list[Rule]:
    """The rules of a norm with scale and bias."""
    return [
        (source + r"\.weight", target + "/scale", keep),
        (source + r"\.bias", target + "/bias", keep),
    ]


def head_rules(source: str) -> list[Rule]:
    """The rules of a classifier's last layer."""
    return [
        (source + r"\.weight", "head/weight", linear),
        (source + r"\.bias", "head/bias", keep),
    ]


def conv_rules(source: str, target: str) -> list[Rule]:
    """The rules of a convolution, whose bias may be absent."""
    return [
        (source + r"\.weight", target + "/kernel", conv),
        (source + r"\.bias", target + "/bias", keep),
    ]


def dense_rules(source: str, target: str) -> list[Rule]:
    """The rules of a linear layer, whose bias may be absent."""
    return [
        (source + r"\.weight", target + "/kernel", linear),
        (source + r"\.bias", target + "/bias", keep),
    ]


def convert(
    source: dict[str, torch.Tensor],
    rules: Iterable[Rule],
    unused: Iterable[str],
    shapes: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """The target leaves by path, float32, from the source's tensors.

    Args:
      source: tensors by name. It is emptied, so that the memory of tensors which nobody
        else holds is given back as their leaves are made.
      rules: see the head of this file.
      unused: patterns of source names that have no place in the target.
      shapes: what each target path must look like (an object with `.shape`).

    Raises:
      ValueError: with every tensor that is missing, left over, of another shape, not
        finite, or not of a floating type.
    """
    rules = [(re.compile(p), target, transform) for p, target, transform in rules]
    unused = [re.compile(p) for p in unused]
    parts, problems = {}, []
    for name in list(source):
        tensor = source.pop(name)
        if any(p.fullmatch(name) for p in unused):
            continue
        targets = _targets(name, rules)
        if len(targets) != 1:
            kind = "no rule for" if not targets else "several rules for"
            problems.append(f"{kind} {name} {list(tensor.shape)}")
            continue
        target, transform = targets[0]
        if target in parts:
            problems.append(f"{name} fills {target}, which is filled already")
        parts[target] = _array(name, tensor, transform, problems)
    leaves = _stacked(parts, problems)
    problems += _misfits(leaves, shapes)
    if problems:
        raise ValueError(_report(problems))
    return leaves


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Paths as nested dicts."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[name] = leaf
    return tree


def _targets(name: str, rules: list) -> list[tuple[str, Callable]]:
    found = []
    for pattern, target, transform in rules:
        match = pattern.fullmatch(name)
        if match:
            path = target(match) if callable(target) else match.expand(target)
            found.append((path, transform))
    return found


def _array(name: str, tensor: torch.Tensor, transform: Callable, problems: list):
    if not tensor.is_floating_point():
        problems.append(f"{name} holds {tensor.dtype}, expected floats")
        return np.zeros(0, np.float32)
    array = tensor.detach().to(torch.float32).numpy()
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        problems.append(f"{name} holds {count} values that are NaN or infinite")
    try:
        return transform(array)
    except ValueError as error:
        problems.append(f"{name} {list(array.shape)}: {error}")
        return array


def _stacked(parts: dict[str, np.ndarray], problems: list) -> dict[str, np.ndarray]:
    leaves, stacks = {}, {}
    for path in list(parts):
        match = re.fullmatch(r"(.*)\[(\d+)\](.*)", path)
        if match:
            layers = stacks.setdefault(match[1] + match[3], {})
            layers[int(match[2])] = parts.pop(path)
        else:
            leaves[path] = np.asarray(parts.pop(path), order="C")
    for path in list(stacks):
        layers = stacks.pop(path)
        gaps = sorted(set(range(max(layers) + 1)) - set(layers))
        if gaps or len({layer.shape for layer in layers.values()}) > 1:
            problems.append(f"{path}: layers {gaps} are missing, or shapes differ")
        else:
            leaves[path] = np.stack([layers[i] for i in range(len(layers))])
    return leaves


def _misfits(leaves: dict[str, np.ndarray], shapes: Mapping[str, Any]) -> list[str]:
    problems = [
        f"nothing fills {path} {list(shapes[path].shape)}"
        for path in shapes
        if path not in leaves
    ]
    for path, leaf in leaves.items():
        if path not in shapes:
            problems.append(f"the architecture has no {path} {list(leaf.shape)}")
        elif tuple(shapes[path].shape) != leaf.shape:
            problems.append(
                f"{path} is {list(leaf.shape)}, the architecture wants {list(shapes[path].shape)}"
            )
    return problems


def _report(problems: list[str]) -> str:
    shown = "\n".join(f"  {p}" for p in problems[:20])
    more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
    return (
        f"the checkpoint does not fit the architecture; {len(problems)} problems:\n"
        f"{shown}{more}\nIs it a checkpoint of another model?"
    )
