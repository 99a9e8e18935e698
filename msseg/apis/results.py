"""What to do with the predicted labels of an image: pictures, label files, an archive.

Each is a handler for `predict_all` and writes as it goes, so memory does not grow.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from msseg.apis.visualize import blend_labels, default_palette, write_image
from msseg.datasets import CustomDataset
from msseg.datasets.loader import TestSample


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

    The file appears under its name when all is written, or not at all.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.temporary = self.path.with_name(f'.{self.path.name}.{os.getpid()}.tmp')

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
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink()

    def add(self, sample: TestSample, labels: np.ndarray) -> None:
        """Add one label map."""
        buffer = io.BytesIO()
        np.save(buffer, labels)
        name = Path(sample.metas[0]['ori_filename']).with_suffix('.npy')
        self.archive.writestr(str(name), buffer.getvalue())
