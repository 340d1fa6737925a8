"""How far to trust a CLIP model or an ImageNet classifier, in JAX."""
