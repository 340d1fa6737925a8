"""Which family of CLIP models a config of open_clip belongs to."""

from typing import Any

# By a word of a config's name; the first that fits counts.
FAMILIES = {
    **{"SigLIP": "SigLIP", "CLIPA": "CLIPA", "worldwide": "MetaCLIP 2"},
    **{"EVA": "EVA", "PE-Core": "PE-Core", "ViTamin": "ViTamin"},
    **{"MobileCLIP": "MobileCLIP", "convnext": "ConvNeXt", "RN": "ModifiedResNet"},
}


def clip_family(name: str, config: dict[str, Any]) -> str:
    """The family of the model with this name and config."""
    if "hf_model_name" in config["text_cfg"]:
        return "Hugging Face text"
    if "multimodal_cfg" in config:
        return "CoCa"
    named = (family for word, family in FAMILIES.items() if word in name)
    return next(
        named, "other timm" if "timm_model_name" in config["vision_cfg"] else "ViT"
    )
