"""Class names and colours: those of a data set, a part of them, or the user's."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from msseg.datasets.palette import default_palette
from msseg.utils.suggest import did_you_mean
from msseg.utils.text_file import read_user_lines

# control characters, line and paragraph separators, halves of characters
_CONTROLS = ('Cc', 'Zl', 'Zp', 'Cs')


class ClassChoice(NamedTuple):
    """Names and colours in use, and how a data set's own classes become them.

    Attributes:
        names: Class names, None when unknown.
        palette: RGB colour of each class, None when unknown.
        class_map: From the data set's own class indices to those in use, -1 for classes that
            are left out; None when nothing changes.
    """

    names: Sequence[str] | None
    palette: Sequence[Sequence[int]] | None
    class_map: dict[int, int] | None


def choose_classes(
    own_names: Sequence[str] | None,
    own_palette: Sequence[Sequence[int]] | None,
    classes: str | Sequence[str] | None,
    palette: Sequence[Sequence[int]] | None,
    who: str,
) -> ClassChoice:
    """Choose class names and colours.

    Args:
        own_names: Names that the data set's class defines.
        own_palette: Colours that it defines.
        classes: The user's choice: names, or a text file with one a line; None for the own.
        palette: The user's colours, None for the own ones or those of `default_palette`.
        who: The data set's name, for errors.

    Raises:
        TypeError: `classes` of another kind.
        ValueError: A name that the data set does not have or that is no name, too few colours.
        FileNotFoundError: `classes` names a file that is missing.

    Source: MMSegmentation 0.30 ``CustomDataset.get_classes_and_palette``; a palette given
        together with the own classes is used here, and ignored there.

    Examples:
        >>> choose_classes(('road', 'sky'), ((128, 64, 128), (70, 130, 180)), ['sky'], None, '')
        ClassChoice(names=['sky'], palette=[(70, 130, 180)], class_map={0: -1, 1: 0})
    """
    names, class_map = own_names, None
    if classes is not None:
        names = _read_names(classes, who)
        class_map = _map_classes(own_names, names, who) if own_names else None
    if palette is None:
        palette = own_palette
        if class_map is not None and own_palette is not None:
            old_ids = {new: old for old, new in class_map.items() if new >= 0}
            palette = [own_palette[old_ids[i]] for i in range(len(names))]
        if palette is None and classes is not None:
            palette = default_palette(names)
    if names is not None:
        check_class_names(names, who)
    if names is not None and palette is not None and len(palette) < len(names):
        raise ValueError(
            f'{who}: palette has {len(palette)} colours for {len(names)} classes; give one RGB '
            'colour for each class'
        )
    if isinstance(palette, np.ndarray):
        palette = palette.tolist()
    return ClassChoice(names, palette, class_map)


def check_class_names(names: Sequence[str], who: str) -> None:
    """Raise ValueError unless class names can stand in tables and files, and tell classes apart."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            problem = 'expected a text that is not empty'
        elif any(unicodedata.category(character) in _CONTROLS for character in name):
            problem = 'expected a name without line breaks and other control characters'
        elif first.setdefault(name, index) != index:
            problem = f'the same as class {first[name]}; expected different names'
        else:
            continue
        raise ValueError(f'{who}: the name of class {index} is {name!r}, {problem}')


def _read_names(classes: str | Sequence[str], who: str) -> list[str] | Sequence[str]:
    if isinstance(classes, (str, Path)):
        if not Path(classes).is_file():
            raise FileNotFoundError(
                f'{who}: classes={str(classes)!r} is no file; give a text file with one name a '
                'line, or a list of names'
            )
        file = f'{who}: classes={str(classes)!r}'
        lines = read_user_lines(classes, file)
        names = [name for _, name in lines]
        for index, (number, name) in enumerate(lines):
            if (first := names.index(name)) != index:
                raise ValueError(
                    f'{file}: lines {lines[first][0]} and {number} are both {name!r}; expected '
                    'different names'
                )
        return names
    if isinstance(classes, (list, tuple)) and all(isinstance(c, str) for c in classes):
        if len(set(classes)) != len(classes) or not classes:
            raise ValueError(f'{who}: classes={classes!r}; expected different names, at least one')
        return classes
    raise TypeError(
        f'{who}: classes={classes!r}; expected a list of names, or a text file with one a line'
    )


def _map_classes(own_names: Sequence[str], names: Sequence[str], who: str) -> dict[int, int] | None:
    for name in names:
        if name not in own_names:
            hint = did_you_mean(name, own_names) or f' It has {list(own_names)}.'
            raise ValueError(f'{who}: classes is not a subset of CLASSES: no {name!r}.{hint}')
    names = list(names)
    if names == list(own_names):
        return None
    return {i: names.index(n) if n in names else -1 for i, n in enumerate(own_names)}
