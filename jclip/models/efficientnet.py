"""timm's EfficientNet and MobileNetV2 family."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class EfficientNet:
    """The shape of the network."""

    image_size: int
