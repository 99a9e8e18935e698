"""Label an image from the top down, whole or in blended tiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mindspore import nn
from numpy.typing import DTypeLike

from msseg.apis.build import eval_pipeline
from msseg.apis.inference import inferencer_of
from msseg.inference.preparation import Preparation, Prepared
from msseg.prediction.raster import reading
from msseg.prediction.results import as_uint8
from msseg.prediction.tiles import ReadRows, blended_rows, check_tiling, decide_in_pieces, spans
from msseg.utils.progress_bar import progress_bar

# Rows of an image, their labels, and probabilities (h, w, channels) if asked for.
LabelledRows = tuple[slice, np.ndarray, np.ndarray | None]


class Labeller:
    """Labels images of any size with a model.

    Args:
        model: From `init_segmentor`.
        tile: (h, w). An image of more pixels than this is segmented in tiles of this size.
        overlap: Pixels over which neighbouring tiles are blended, at most a third of a tile.

    Attributes:
        prepare: The preparation of images by the config's test pipeline.
        label_type: Of the labels.

    Raises:
        ValueError: The tiles cannot overlap so far.
    """

    def __init__(self, model: nn.Cell, tile: tuple[int, int], overlap: int) -> None:
        check_tiling(tile, overlap)
        self.tile, self.overlap = tile, overlap
        self.prepare = Preparation(eval_pipeline(model.cfg))
        self.label_type = np.uint8 if model.num_classes <= 255 else np.uint16
        self._inferencer = inferencer_of(model)
        self._num_channels = model.out_channels

    def rows(
        self,
        read_rows: ReadRows,
        size: tuple[int, int],
        name: str | Path,
        value_type: DTypeLike | None = None,
    ) -> Iterator[LabelledRows]:
        """Yield rows from the top with their labels, all rows at once of an image without tiles.

        Args:
            read_rows: Gives rows [top, bottom) as the pipeline's first step loads them.
            size: The image's (h, w).
            name: Its name, for errors.
            value_type: float32 for probabilities, uint8 for them with 255 as 1; None for none.

        Raises:
            UnreadableInputError: The image cannot be segmented.
        """
        if size[0] * size[1] > self.tile[0] * self.tile[1]:
            yield from self._in_tiles(read_rows, size, name, value_type)
            return
        prepared = self._prepared(read_rows(0, size[0]), name)
        with reading(Path(name)):
            if value_type is None:
                labels, values = self._inferencer.labels(*prepared), None
            else:
                found = self._inferencer.probabilities(*prepared)
                labels, values = self._inferencer.decide(found), _as_type(found, value_type)
        yield slice(0, size[0]), labels, values

    def whole(
        self, image: np.ndarray, name: str | Path, value_type: DTypeLike | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return labels (h, w) and values (h, w, channels) of an image, loaded as in `rows`."""
        size = image.shape[:2]
        labels = np.empty(size, self.label_type)
        values = value_type and np.empty((*size, self._num_channels), value_type)
        read_rows = lambda top, bottom: image[top:bottom]  # noqa: E731
        for rows, found, found_values in self.rows(read_rows, size, name, value_type):
            labels[rows] = found
            if values is not None:
                values[rows] = found_values
        return labels, values

    def _in_tiles(
        self,
        read_rows: ReadRows,
        size: tuple[int, int],
        name: str | Path,
        value_type: DTypeLike | None,
    ) -> Iterator[LabelledRows]:
        tile, overlap = self.tile, self.overlap
        labels = np.empty((min(tile[0], size[0]), size[1]), self.label_type)
        values = value_type and np.empty((*labels.shape, self._num_channels), value_type)

        def probabilities(image: np.ndarray) -> np.ndarray:
            prepared = self._prepared(image, name)
            with reading(Path(name)):
                return self._inferencer.probabilities(*prepared)

        def finish(rows: slice, columns: slice, found: np.ndarray) -> None:
            count = rows.stop - rows.start
            decide_in_pieces(self._inferencer.decide, found, labels[:count, columns])
            if values is not None:
                values[:count, columns] = _as_type(found, value_type)

        total = len(spans(size[0], tile[0], overlap)) * len(spans(size[1], tile[1], overlap))
        with progress_bar(total=total, unit='tile') as bar:
            for rows in blended_rows(
                read_rows, size, probabilities, tile, overlap, finish, bar.update
            ):
                count = rows.stop - rows.start
                yield rows, labels[:count], None if values is None else values[:count]

    def _prepared(self, image: np.ndarray, name: str | Path) -> Prepared:
        with reading(Path(name)):
            return self.prepare(np.ascontiguousarray(image), str(name), is_loaded=True)


def _as_type(probabilities: np.ndarray, value_type: DTypeLike) -> np.ndarray:
    if value_type == np.uint8:
        return as_uint8(probabilities)
    return np.moveaxis(probabilities, 0, -1)
