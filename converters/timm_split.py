"""The layers of timm's ResNeSt and SKNet that choose among versions of the channels."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from timm.layers import SelectiveKernel, SplitAttn
from timm.layers.selective_kernel import SelectiveKernelAttn
from timm.layers.split_attn import RadixSoftmax
from torch import nn

from converters.rules import conv
from converters.timm_lines import Line, conv_lines
from converters.timm_parts import conv_of
from jclip.models.residual import Layer
from jclip.models.split_attention import Split

KINDS = (SplitAttn, RadixSoftmax, SelectiveKernel, SelectiveKernelAttn, nn.ModuleList)
# timm's names, and the ones that they have in a block of a ResNet.
NAMES = (
    (r"conv(\d)\.conv\.", r"conv\1."),
    (r"conv(\d)\.bn0?\.", r"bn\1."),
    (r"conv(\d)\.paths\.(\d)\.conv\.", r"conv\1.paths.\2."),
    (r"conv(\d)\.attn\.fc_reduce\.", r"conv\1.fc1."),
    (r"conv(\d)\.attn\.bn\.", r"conv\1.bn1."),
    (r"conv(\d)\.attn\.fc_select\.", r"conv\1.fc2."),
)


def layer_of(part: nn.Module) -> Layer:
    """One of the two layers in jclip's terms."""
    return _split_of(part) if type(part) is SplitAttn else _selective_of(part)


def lines(block: str) -> list[Line]:
    """The lines of such layers in a block, under the names that `plain` gives."""
    layer, to = block + r"conv(\d)\.", r"layer\3/"
    return [
        (layer + r"paths\.(\d)\.weight", "params/image", to + r"conv/kernel\4", conv),
        *conv_lines(layer + "fc1", layer + "bn1", to + "split/reduce/"),
        *conv_lines(layer + "fc2", "none", to + "split/select/"),
    ]


def plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under a ResNet's names; the norms of several paths become one."""
    found, parts = {}, {}
    for name, tensor in tensors.items():
        path = re.fullmatch(r"(.*)conv(\d)\.paths\.\d\.bn\.(.*)", name)
        if path and tensor.ndim:
            parts.setdefault(f"{path[1]}bn{path[2]}.{path[3]}", []).append(tensor)
        else:
            found[_renamed(name)] = tensor
    return found | {name: torch.cat(tensors) for name, tensors in parts.items()}


def problems(module: nn.Module) -> Iterator[str]:
    """What is covered part by part, and not in this combination."""
    for path, part in module.named_modules():
        if type(part) is SelectiveKernel:
            convs = (conv_of(each.conv, each.bn) for each in part.paths)
            shapes = [replace(conv, dilations=()) for conv in convs]
            if len({*shapes}) > 1:
                yield f"the paths of {path} differ in more than dilation"


def _renamed(name: str) -> str:
    """The name with that of the block as it is."""
    block = re.match(r"layer\d+\.\d+\.", name)
    start = block.end() if block else len(name)
    for pattern, target in NAMES:
        if found := re.compile(pattern).match(name, start):
            return name[:start] + found.expand(target) + name[found.end() :]
    return name


def _split_of(part: SplitAttn) -> Layer:
    select = conv_of(part.fc2, None)
    split = Split(part.radix, conv_of(part.fc1, part.bn1, part.act1), select)
    return Layer(conv_of(part.conv, part.bn0, part.act0), split=split)


def _selective_of(part: SelectiveKernel) -> Layer:
    paths, attention = part.paths, part.attn
    first = conv_of(paths[0].conv, paths[0].bn)
    mixed = replace(
        first,
        width=first.width * len(paths),
        kernels=first.kernels * len(paths),
        dilations=tuple(path.conv.dilation[0] for path in paths),
    )
    split = Split(
        len(paths),
        conv_of(attention.fc_reduce, attention.bn, attention.act),
        conv_of(attention.fc_select, None),
        whole=not part.split_input,
    )
    return Layer(mixed, split=split)
