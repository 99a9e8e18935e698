"""Which classes imported labels have, and what stands for pixels without an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msseg.datasets.classes import check_class_names
from msseg.datasets.palette import background_classes
from msseg.own_data.shapes import IGNORED, Annotations
from msseg.utils.errors import UserValueError, unknown_name

IGNORED_NAMES = ('__ignore__', 'ignore', 'ignored', 'void')


@dataclass(frozen=True)
class ClassTable:
    """The classes of imported labels.

    Attributes:
        names: Their names; the index is the value in label files.
        index_of: The value of each label of the annotations.
        background: The value of pixels without an object; 255 where they do not count.
        order_from: What their order comes from.
        palette: RGB colour of each; None for the default ones.
    """

    names: list[str]
    index_of: dict[str, int]
    background: int
    order_from: str
    palette: list[tuple[int, int, int]] | None = None


def choose_classes(
    annotations: Annotations,
    classes: Sequence[str] | None = None,
    ignored: Sequence[str] = (),
    background: str | None = None,
) -> ClassTable:
    """Choose the classes and their order.

    The order is the user's, else that of the source, else alphabetical. Pixels without an object
    are those of the class that is called background (or ``bg``, ``背景``, …); without such a class
    one is added, the first. Labels called ``ignore``, ``ignored``, ``__ignore__`` or ``void`` do
    not count unless they are in `classes`.

    Args:
        annotations: What was read.
        classes: The user's names.
        ignored: More labels that do not count.
        background: Another name of that class; ``none`` if such pixels do not count.

    Raises:
        ValueError: Names that are none, or more than 255.
        KeyError: A label that the list of classes lacks.
    """
    if annotations.indexed:
        names = list(annotations.classes or ())
        _check(names, annotations.classes_from)
        return ClassTable(names, {}, IGNORED, annotations.classes_from, annotations.palette)
    found = sorted({shape.label for sample in annotations.samples for shape in sample.shapes})
    for name in ignored:
        if name not in found:
            annotations.notes.add(f'--ignore: no object has the label {name!r}')
    left_out = {*ignored, *(name for name in IGNORED_NAMES if name not in (classes or ()))}
    listed = classes or annotations.classes
    names = [name for name in listed or found if name not in left_out]
    order_from = '--classes' if classes else annotations.classes_from if listed else 'the alphabet'
    own = background_classes(names)
    if background == 'none':
        value = IGNORED
    elif background in names or (background is None and len(own) == 1):
        value = names.index(background) if background else own[0]
    elif background is None and len(own) > 1:
        several = [names[i] for i in own]
        raise UserValueError(
            f'several classes are called a background: {several}', advice='give --background'
        )
    else:
        names, value = [background or 'background', *names], 0
        order_from += f'; {names[0]!r}, of pixels without an object, was added'
    _check(names, order_from)
    index_of = {name: i for i, name in enumerate(names)} | dict.fromkeys(left_out, IGNORED)
    _check_labels(annotations, names, index_of)
    return ClassTable(names, index_of, value, order_from)


def _check_labels(annotations: Annotations, names: Sequence[str], known: Mapping[str, int]) -> None:
    for sample in annotations.samples:
        for shape in sample.shapes:
            if shape.label not in known and not shape.is_ignored:
                raise unknown_name(
                    f'the label {shape.label!r} is none of the classes',
                    shape.label,
                    names,
                    UserValueError,
                    who=f'{sample.file}, {shape.where}',
                    advice='correct it, add it to --classes, or give it to --ignore',
                )


def _check(names: Sequence[str], order_from: str) -> None:
    check_class_names(names, f'classes in the order of {order_from}')
    if len(names) < 2:
        raise UserValueError(
            f'the only class is {names[0]!r}' if names else 'there is no class',
            expected='two or more, of which one may be the background',
        )
    if len(names) > IGNORED:
        raise UserValueError(
            f'{len(names)} classes', expected=f'at most {IGNORED}: {IGNORED} marks ignored pixels'
        )
