"""What to do with the predicted labels of an image: pictures, label files, an archive.

Each is a handler for `predict_all` and writes as it goes, so memory does not grow.
"""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from msseg.apis.visualize import blend_labels, default_palette, write_image
from msseg.datasets import CustomDataset
from msseg.datasets.loader import TestSample
from msseg.utils.dist import barrier, broadcast_object, get_rank, get_world_size


class Overlays:
    """Writes each image with its predicted labels laid over it.

    Args:
        folder: Where to; images keep their names.
        dataset: For the palette.
        opacity: Of the labels.
    """

    def __init__(self, folder: Path, dataset: CustomDataset, opacity: float) -> None:
        self.folder = folder
        self.palette = dataset.PALETTE or default_palette(len(dataset.CLASSES))
        self.opacity = opacity

    def add(self, sample: TestSample, labels: np.ndarray) -> None:
        """Write one picture."""
        image = cv2.imread(sample.metas[0]['filename'], cv2.IMREAD_COLOR)
        overlay = blend_labels(image, labels, self.palette, self.opacity)
        write_image(self.folder / sample.metas[0]['ori_filename'], overlay)


class LabelFiles:
    """Writes each label map as a PNG, in the values that the data set's benchmark wants.

    Args:
        folder: Where to; files are named after the images.
        dataset: Writes them with ``format_results``.
    """

    def __init__(self, folder: Path, dataset: CustomDataset) -> None:
        self.folder = folder
        self.dataset = dataset

    def add(self, sample: TestSample, labels: np.ndarray) -> None:
        """Write one label map."""
        self.dataset.format_results([labels], str(self.folder), [sample.index])


class LabelArchive:
    """Collects all label maps in one .npz file, under the images' names without suffix.

    The file appears under its name when all is written, or not at all. Of several processes each
    collects its own, and rank 0 puts them together in the order of the data set.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.job = broadcast_object(os.getpid())
        self.temporary = self._part(get_rank())

    def __enter__(self) -> LabelArchive:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.archive = zipfile.ZipFile(self.temporary, 'w', zipfile.ZIP_DEFLATED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.archive.close()
        if kind is not None:
            self.temporary.unlink()
            return
        barrier()
        if get_rank() == 0:
            if get_world_size() > 1:
                self._put_together([self._part(rank) for rank in range(get_world_size())])
            os.replace(self.temporary, self.path)

    def _part(self, rank: int) -> Path:
        return self.path.with_name(f'.{self.path.name}.{self.job}.{rank}.tmp')

    def _put_together(self, parts: list[Path]) -> None:
        whole = self.path.with_name(f'.{self.path.name}.{self.job}.tmp')
        with ExitStack() as stack:
            archives = [stack.enter_context(zipfile.ZipFile(part)) for part in parts]
            target = stack.enter_context(zipfile.ZipFile(whole, 'w', zipfile.ZIP_DEFLATED))
            for names in zip_longest(*(archive.namelist() for archive in archives)):
                for archive, name in zip(archives, names, strict=True):
                    if name is not None:
                        target.writestr(name, archive.read(name))
        for part in parts:
            part.unlink()
        self.temporary = whole

    def add(self, sample: TestSample, labels: np.ndarray) -> None:
        """Add one label map."""
        buffer = io.BytesIO()
        np.save(buffer, labels)
        name = Path(sample.metas[0]['ori_filename']).with_suffix('.npy')
        self.archive.writestr(str(name), buffer.getvalue())
