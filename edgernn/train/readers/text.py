"""Labelled texts: .tsv with a header, and tagged words in CoNLL-U."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import DataError
from edgernn.train import splits
from edgernn.train.dataset import Skipped, Tell, TextSet, check_labels, refuse_or_tell

TEXT_COLUMNS = ("text", "document", "sentence", "review")
"""Names that the column of texts may have."""


def read_tsv(path: Path, seed: int, strict: bool, tell: Tell) -> TextSet:
    """Read tab-separated lines under a header with `label`, a column of texts, maybe `split`.

    Of ``train.tsv`` and ``test.tsv`` in one folder, either is both; part of the former is
    validation.  Quotes mean nothing.

    Raises
    ------
    DataError
        If a file cannot be read, or lacks a column.
    """
    train, test = path.with_name("train.tsv"), path.with_name("test.tsv")
    pair = path in (train, test) and train.exists() and test.exists()
    lines = _lines(train if pair else path)
    tested = _lines(test) if pair else []
    every, skipped = [], []
    for where, part in ((train if pair else path, lines), (test, tested)):
        for number, line in enumerate(part, 2):
            if line.get("label") and line["text"]:
                every.append((line, part is tested))
            else:
                skipped.append(Skipped(where, f"line {number} without a text or a label"))
    left_out = refuse_or_tell(skipped, strict, tell)
    labels = check_labels((line["label"] for line, _ in every), path)
    codes = np.array([labels.index(line["label"]) for line, _ in every], np.int64)
    marked = all("split" in line for line, _ in every)
    if pair:
        is_test = np.array([test_too for _, test_too in every])
        split = np.where(is_test, "test", "train").astype("U10")
        held = splits.stratified(codes[~is_test], splits.HELD_SHARE, seed)
        split[np.flatnonzero(~is_test)[held]] = "validation"
    elif marked:
        split = _known(path, [line["split"] for line, _ in every])
    else:
        split = splits.three(codes, seed)
    return TextSet(labels, tuple(line["text"] for line, _ in every), codes, split,
                   skipped=left_out,
                   drawn=splits.OF_TRAIN if pair else frozenset() if marked else splits.ALL)


def _lines(path: Path) -> list[dict[str, str]]:
    """Lines by column, the column of texts as `text`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = list(reader.fieldnames or ())
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read ({problem}); tab-separated UTF-8 was needed") \
            from problem
    named = [name for name in TEXT_COLUMNS if name in columns]
    if "label" not in columns or not named:
        raise DataError(f"{path} has the columns {', '.join(columns) or 'none'}; label and one of "
                        f"{', '.join(TEXT_COLUMNS)} were needed in its first line")
    return [{"text": line[named[0]] or "", **{key: line[key] or "" for key in ("label", "split")
                                             if key in columns}} for line in lines]


def _known(path: Path, split: list[str]) -> NDArray[np.str_]:
    unknown = sorted(set(split) - set(splits.SPLITS))
    if unknown:
        raise DataError(f"{path} has the split {unknown[0]!r}; {', '.join(splits.SPLITS)} were "
                        "needed")
    return np.array(split, "U10")


def read_conllu(path: Path, seed: int) -> TextSet:
    """Read sentences of words with their part of speech (UPOS), as CoNLL-U has them.

    Split 70 / 15 / 15 by sentence, by `seed`.  Ranges (``3-4``) and empty words (``3.1``) are
    passed over, since they have no tag of their own.

    Raises
    ------
    DataError
        If a line has too few columns, or there is no sentence.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} cannot be read ({problem}); CoNLL-U was needed") from problem
    sentences: list[list[tuple[str, str]]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            sentences.append([])
        elif not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) < 4:
                raise DataError(f"line {number} of {path} has {len(cells)} columns; 4 or more "
                                "between tabs were needed: number, word, lemma, tag. Repair it")
            if cells[0].isdigit():
                sentences[-1].append((cells[1], cells[3]))
    sentences = [sentence for sentence in sentences if sentence]
    if not sentences:
        raise DataError(f"{path} holds no sentence; CoNLL-U was needed")
    labels = check_labels((tag for sentence in sentences for _, tag in sentence), path)
    code = {label: i for i, label in enumerate(labels)}
    tags = tuple(np.array([code[tag] for _, tag in sentence], np.int64) for sentence in sentences)
    nothing = np.zeros(len(sentences), np.int64)
    return TextSet(labels, tuple(tuple(word for word, _ in sentence) for sentence in sentences),
                   nothing, splits.three(nothing, seed), tags, drawn=splits.ALL)
