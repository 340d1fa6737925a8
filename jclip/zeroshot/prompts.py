"""Prompt sets and class names: those of a bundle, jclip's own, and a user's files."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jclip.lookup import lookup, unknown
from jclip.models.bundle import Bundle

# A set of templates, or the finished prompts of each class.
Templates = Sequence[str] | Mapping[str, Sequence[str]]

PROMPTS = {"single": ("a photo of a {}.",), "bare": ("{}",)}


def templates(
    bundle: Bundle, name_or_path: epath.PathLike
) -> tuple[str, ...] | dict[str, tuple[str, ...]]:
    """The templates of this name or in this file.

    Args:
      bundle: whose prompt sets ("openai80", "openai7") are known beside `PROMPTS`.
      name_or_path: a prompt set; or a text file with a template in each line, the class
        written as {}; or a .json file with an object from each class to a list of its
        prompts, which is what comes back then.

    Raises:
      ValueError: an unknown name, or every line or class that is not as expected.
    """
    known = {**PROMPTS, **bundle.prompts}
    if name_or_path in known:
        return known[name_or_path]
    text = _read(name_or_path, known, "prompt set")
    if epath.Path(name_or_path).suffix == ".json":
        return _by_class(text, name_or_path)
    lines = text.splitlines()
    wrong = [
        f"line {number}: {line!r}"
        for number, line in enumerate(lines, 1)
        if line.count("{}") != 1
    ]
    _refuse(name_or_path, "a template holds {} exactly once", wrong, empty=not lines)
    return tuple(lines)


def class_names(
    bundle: Bundle, name_or_path: epath.PathLike, *, space: str = "imagenet-1k"
) -> tuple[str, ...]:
    """The names of the classes, in the order of their indices.

    Args:
      bundle: whose lists are known.
      name_or_path: "openai" for the bundle's list, or a text file with a name in each
        line.
      space: the label space, for "openai".
    """
    if name_or_path == "openai":
        return lookup(bundle.class_names, space, "label space with OpenAI's names")
    lines = _read(name_or_path, ["openai"], "list of class names").splitlines()
    wrong = [
        f"line {i}: {line!r}" for i, line in enumerate(lines, 1) if not line.strip()
    ]
    _refuse(name_or_path, "a line names a class", wrong, empty=not lines)
    return tuple(line.strip() for line in lines)


def fill(
    classes: Sequence[str], templates: Templates, *, article: str = "template"
) -> list[tuple[str, ...]]:
    """The prompts of each class.

    Args:
      classes: names.
      templates: with one {} each, or the finished prompts of each class by its name;
        classes that are not asked for may be there too.
      article: "template" leaves "a" and "an" as written; "auto" corrects them by the
        spelling of the next word.

    Raises:
      ValueError: no template, templates without the one {}, or classes without prompts.
    """
    correct = lookup(ARTICLES, article, "article")
    prompts = _prompts(classes, templates)
    return [tuple(map(correct, texts)) for texts in prompts]


def with_articles(text: str) -> str:
    """The text with "a" or "an" as the spelling of the next word asks for.

    Initials ("an SUV", "a T-shirt") go by the names of the letters.
    """
    return re.sub(
        r"\b([Aa])n?(?=\s+(\w\S*))",
        lambda match: match[1] + "n" * bool(VOWEL.match(match[2])),
        text,
    )


ARTICLES = {"template": str, "auto": with_articles}

# In turn: initials; a silent h; a vowel that does not sound like "you" or "won".
VOWEL = re.compile(
    r"[AEFHILMNORSX](?:[A-Z]|\b(?!'))"
    r"|(?i:hour|honest|honou?r|heir)"
    r"|(?![A-Z]{2}|(?i:eu|ewe|ones?\b|once\b|uni(?![mn])|u[bcfghjkqrst][aeiou]))"
    r"(?i:[aeiou])"
)


def _prompts(classes: Sequence[str], templates: Templates) -> list[Sequence[str]]:
    if isinstance(templates, Mapping):
        missing = [name for name in dict.fromkeys(classes) if not templates.get(name)]
        _refuse("the prompts by class", "each class needs a prompt", missing)
        return [templates[name] for name in classes]
    templates = list(templates)
    wrong = [repr(template) for template in templates if template.count("{}") != 1]
    _refuse("templates", "each holds {} exactly once", wrong, empty=not templates)
    return [[t.replace("{}", name) for t in templates] for name in classes]


def _by_class(text: str, path: epath.PathLike) -> dict[str, tuple[str, ...]]:
    expected = "an object from each class to a list of its prompts"
    try:
        plain: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: expected {expected}; {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: expected {expected}, got a {type(plain).__name__}")
    wrong = [
        f"{name!r}: {value!r}" for name, value in plain.items() if not _texts(value)
    ]
    _refuse(path, expected, wrong, empty=not plain)
    return {name: tuple(prompts) for name, prompts in plain.items()}


def _texts(value: Any) -> bool:
    return (
        bool(value)
        and isinstance(value, list)
        and all(isinstance(x, str) for x in value)
    )


def _read(path: epath.PathLike, known: Any, kind: str) -> str:
    path = epath.Path(path)
    if not path.is_file():
        raise ValueError(f"{unknown(str(path), known, kind)}; nor is there such a file")
    try:
        return path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a UTF-8 text file; {error}") from error


def _refuse(
    what: Any, expected: str, wrong: Sequence[str], *, empty: bool = False
) -> None:
    if wrong or empty:
        found = "; ".join(wrong) or "there is nothing"
        raise ValueError(f"{what}: {expected}; not so: {found}")
