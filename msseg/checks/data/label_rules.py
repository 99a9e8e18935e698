"""What the values of label files mean to a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msseg.checks.data.file_scan import LabelScan
from msseg.checks.data.file_scan.label_scan import unpack_colour


@dataclass(frozen=True)
class LabelRules:
    """From a value in a file to a class, step by step as `LoadAnnotations` does it.

    Attributes:
        classes: Names of the classes in use, None when unknown.
        ignore_index: The value of pixels that do not count.
        palette: RGB colour of each class, None where nobody has said it.
        label_map: From file values or (r, g, b) colours.
        class_map: From the data set's own classes to those in use.
        reduce_zero_label: Files hold class i as i + 1.
    """

    classes: Sequence[str] | None
    ignore_index: int = 255
    palette: Sequence[Sequence[int]] | None = None
    label_map: dict[Any, int] | None = None
    class_map: dict[int, int] | None = None
    reduce_zero_label: bool = False

    @property
    def maps_colours_only(self) -> bool:
        """Whether single-channel labels are refused."""
        keys = self.label_map or {}
        return bool(keys) and all(isinstance(key, tuple) for key in keys)

    @property
    def maps_colours(self) -> bool:
        """Whether there is a colour in label_map, so that RGB labels are meant."""
        return any(isinstance(key, tuple) for key in self.label_map or {})

    @property
    def maps_ranges(self) -> bool:
        """Whether there is a range in label_map, so that objects are numbered."""
        return any(isinstance(key, range) for key in self.label_map or {})

    def meaning(self, value: int, is_colour: bool = False) -> int | None:
        """Return the class index (or ignore_index, or another wrong value) of a file's value.

        Args:
            value: As `LabelScan.values` has it.
            is_colour: It is a packed colour.

        Returns:
            None for a colour that label_map lacks.
        """
        label_map = self.label_map or {}
        if is_colour:
            mapped = label_map.get(unpack_colour(value))
            if mapped is None:
                return None
        else:
            mapped = label_map.get(value, value)
        if self.reduce_zero_label:
            ignored = mapped in (0, self.ignore_index)
            mapped = self.ignore_index if ignored else mapped - 1
        return (self.class_map or {}).get(mapped, mapped)

    def is_right(self, meaning: int) -> bool:
        """Tell whether `meaning` gave a class in use or ignore_index."""
        known = self.classes is None or 0 <= meaning < len(self.classes)
        return known or meaning == self.ignore_index

    def count(self, label: LabelScan) -> Counter[int]:
        """Return the pixels of each class, ignore_index and wrong values of a label.

        Colours that label_map lacks are left out, and all of a label that cannot be read.
        """
        pixels: Counter[int] = Counter()
        if self.maps_colours_only and not label.is_colour:
            return pixels
        for value, number in label.values.items():
            meaning = self.meaning(value, label.is_colour)
            if meaning is not None:
                pixels[meaning] += number
        return pixels
