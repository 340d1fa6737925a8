"""Tries the export road on timm's or torchvision's architectures; resumable.

    python -m converters.sweep --out=sweep.jsonl --most_parameters=3e7
    python -m converters.sweep --out=sweep.jsonl --names=resnet18,swin_tiny_patch4_window7_224
    python -m converters.sweep --summary=sweep.jsonl

Each architecture gets noise for weights, runs in a process of its own, and is one line of
the file: its outcome (see `converters.trials`), the largest difference to PyTorch,
parameters, seconds. Lines that are there already are not tried again. All take hours.
"""

from absl import app, flags

from converters.trials import architectures, read, sample, summary, sweep

OUT = flags.DEFINE_string("out", None, "The file of results, one JSON line each.")
NAMES = flags.DEFINE_list(
    "names", None, "Architectures; by default all of ImageNet-1k."
)
LIBRARY = flags.DEFINE_enum("library", "timm", ["timm", "torchvision"], "Theirs.")
SAMPLE = flags.DEFINE_integer("sample", None, "So many of them, at random.")
SEED = flags.DEFINE_integer("seed", 0, "Of the sample.")
MOST = flags.DEFINE_float("most_parameters", 1e9, "Larger networks are left out.")
SECONDS = flags.DEFINE_integer("seconds", 900, "The longest that one may take.")
WORKERS = flags.DEFINE_integer("workers", 1, "Architectures at a time.", lower_bound=1)
SUMMARY = flags.DEFINE_string("summary", None, "Only counts the outcomes of this file.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if SUMMARY.value:
        print(summary(read(SUMMARY.value)))
        return
    if not OUT.value:
        raise app.UsageError("--out=FILE is needed, or --summary=FILE")
    names = NAMES.value or architectures(LIBRARY.value)
    if SAMPLE.value:
        names = sample(names, SAMPLE.value, SEED.value, MOST.value, LIBRARY.value)
    sweep(
        *(names, OUT.value, MOST.value, SECONDS.value, WORKERS.value),
        library=LIBRARY.value,
    )


if __name__ == "__main__":
    app.run(main)
