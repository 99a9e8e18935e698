"""The split that some data sets cannot do without."""

from __future__ import annotations


def required_split(who: str, split: str | None) -> str:
    """Return `split`; the folder of images holds others than those with labels.

    Args:
        who: The data set's name.
        split: The text file.

    Raises:
        ValueError: It is None.
    """
    if split is None:
        raise ValueError(
            f"{who}: split is None; give the text file that names this split's images, such as "
            "'ImageSets/Segmentation/train.txt'"
        )
    return split
