"""What a network of timm has that jclip's counterpart does not cover."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import nn

# The classes of modules that a family covers. Under each, attributes that it does not
# carry over, with the only value that it covers.
Covered = Mapping[type, Mapping[str, Any]]


def uncovered(module: nn.Module, covered: Covered) -> Iterator[str]:
    """A line for every part of the network that is not covered as it stands."""
    for path, part in module.named_modules():
        path = path or "the network"
        if type(part) not in covered:
            yield f"{path} is a {type(part).__name__}"
            continue
        for name, value in covered[type(part)].items():
            found = getattr(part, name)
            if found != value:
                kind = type(found).__name__
                shown = kind if isinstance(found, nn.Module) else repr(found)
                yield f"{path}.{name} is {shown}, expected {value!r}"


def require(
    module: nn.Module,
    covered: Covered,
    *problems: Callable[[nn.Module], Iterable[str]],
) -> None:
    """One error that names all that is not covered, if there is anything.

    Args:
      module: the network.
      covered: its parts and their attributes.
      problems: functions that give a line for what else is in the way; they may rely on
        the parts to be covered.
    """
    refuse([*uncovered(module, covered)])
    refuse([line for function in problems for line in function(module)])


def refuse(problems: list[str]) -> None:
    """One error that names all problems, if there are any."""
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:20])
        raise ValueError(
            f"jclip does not cover {len(problems)} parts of this network:\n{shown}"
        )


def is_identity(part: Any) -> bool:
    """Whether this part of a network is absent or passes everything on."""
    return part is None or type(part) is nn.Identity


def require_size(image_size: int | None, own: int) -> None:
    """An error where another size is asked for than the network was made for."""
    if image_size not in (None, own):
        raise ValueError(f"image_size is {image_size}, and the network takes {own}")
