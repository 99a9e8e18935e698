"""Writers of predicted labels: pictures, label files, an archive; handlers of `predict_all`."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

import numpy as np

from msseg.apis.visualize import OverlayStyle, write_image
from msseg.datasets import CustomDataset
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.pipelines import LoadImageFromFile
from msseg.datasets.result_files import sample_names
from msseg.datasets.sample_rng import get_filename, seeded_sample
from msseg.utils.atomic import temporary_path
from msseg.utils.display import Display, as_bgr
from msseg.utils.dist import barrier, broadcast_object, get_rank, get_world_size
from msseg.utils.outputs import Outputs


class Overlays:
    """Write each image, as the pipeline loads it, blended with its predicted labels, as PNG.

    Args:
        folder: The folder for the pictures, with the names of `sample_names`.
        dataset: The images.
        opacity: Opacity of the labels.
        outputs: Checks the paths.
        legend: Add class names and colours below them.
        tint_background: See `OverlayStyle`.
    """

    def __init__(
        self,
        folder: Path,
        dataset: CustomDataset,
        opacity: float,
        outputs: Outputs,
        legend: bool = True,
        tint_background: bool = False,
    ) -> None:
        names = [f'{name}.png' for name in sample_names(dataset)]
        self.paths = outputs.files(folder, names, '--show-dir')
        self.dataset = dataset
        self.style = OverlayStyle.of_dataset(
            dataset, opacity=opacity, has_legend=legend, tint_background=tint_background
        )

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Write one picture."""
        image = load_shown(self.dataset, sample.index, sample.metas[0].get('filename'))
        write_image(self.paths[sample.index], self.style.draw(image, labels))


class LabelFiles:
    """Write each label map as a PNG in the format of the data set's benchmark.

    Args:
        folder: The folder for the files, named after the images.
        dataset: Its method ``format_results`` writes them.
        outputs: Checks the paths.
    """

    def __init__(self, folder: Path, dataset: CustomDataset, outputs: Outputs) -> None:
        for part in getattr(dataset, 'datasets', [dataset]):
            if not hasattr(part, 'format_results'):
                raise TypeError(
                    f'--format-only: data.test is a {type(part).__name__}, which has no method '
                    'format_results: derive it from CustomDataset, or give the data set inside it'
                )
        self.folder = folder
        self.dataset = dataset
        # a data set that is not derived from CustomDataset decides on its files
        paths = dataset.result_paths(folder) if hasattr(dataset, 'result_paths') else []
        outputs.files(folder, [str(path.relative_to(folder)) for path in paths], '--format-dir')

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Write one label map."""
        self.dataset.format_results([labels], str(self.folder), [sample.index])


def archive_names(dataset: CustomDataset) -> list[str]:
    """Return `sample_names` for a zip archive, in which bytes that are not UTF-8 are escapes."""
    names = sample_names(dataset)
    return [name.encode(errors='backslashreplace').decode() for name in names]


class LabelArchive:
    """Collect all label maps in one .npz file, under the names of `archive_names`.

    The file is complete or absent. With several processes each writes its own part, and rank 0
    joins them in the order of the data set.

    Args:
        path: The file.
        dataset: The images, for their names.
        outputs: Checks the path.
    """

    def __init__(self, path: str | Path, dataset: CustomDataset, outputs: Outputs) -> None:
        self.path = outputs.file(path, '--out')
        self.names = archive_names(dataset)
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
        return temporary_path(self.path, f'.{self.job}.{rank}.tmp')

    def _put_together(self, parts: list[Path]) -> None:
        whole = temporary_path(self.path, f'.{self.job}.tmp')
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

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Add one label map."""
        buffer = io.BytesIO()
        np.save(buffer, labels)
        self.archive.writestr(f'{self.names[sample.index]}.npy', buffer.getvalue())


def load_shown(dataset: CustomDataset, index: int, filename: str | None = None) -> np.ndarray:
    """Return the image of `load_first` as BGR uint8 (h, w, 3), to look at."""
    image, display = load_first(dataset, index, filename)
    return as_bgr(image, display=display)


def load_first(
    dataset: CustomDataset, index: int, filename: str | None = None
) -> tuple[np.ndarray, Display]:
    """Return a sample's image as its pipeline loads it, (h, w) or (h, w, c); and how it is shown.

    Args:
        dataset: A data set, or several joined.
        index: The sample.
        filename: Its file, for a data set that is not derived from CustomDataset.
    """
    display = Display()
    while True:
        if hasattr(dataset, 'datasets'):
            part, index = dataset.get_dataset_idx_and_sample_idx(index)
            dataset = dataset.datasets[part]
        elif hasattr(dataset, 'dataset'):
            dataset, index = dataset.dataset, index % len(dataset.dataset)
        else:
            break
    filename = filename or get_filename(dataset, index)
    results = dict(img_info=dict(filename=filename), img_prefix=None)
    steps: Sequence[Callable[[dict], dict]] = [LoadImageFromFile()]
    with seeded_sample(0, 0, index):
        if hasattr(dataset, 'pre_pipeline') and getattr(dataset, 'img_infos', None):
            results = dict(img_info=dataset.img_infos[index])
            dataset.pre_pipeline(results)
            steps = [*dataset.pipeline.transforms, *steps]
        for step in steps:
            if 'img' in results:
                break
            results = step(results)
            display = Display.of_loader(step)
    return results['img'], display
