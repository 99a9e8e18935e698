"""Label images and videos with a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore import nn

from msseg.apis.image_inputs import LABELS, OVERLAYS, PROBABILITIES, Input, find_inputs
from msseg.apis.visualize import OverlayStyle
from msseg.prediction.areas import AREA_SUMS, AREAS, AreaCounter, AreaTables, writing_areas
from msseg.prediction.geotiff import read_georeference
from msseg.prediction.labeller import Labeller
from msseg.prediction.raster import Raster, UnreadableInputError, count_pages
from msseg.prediction.results import writing_png, writing_results
from msseg.prediction.tiles import check_tiling
from msseg.prediction.video import VideoFrames, writing_video
from msseg.utils.atomic import temporary_path
from msseg.utils.display import Display, display_limits
from msseg.utils.image_loading import no_data_label
from msseg.utils.outputs import Outputs, Skipped
from msseg.utils.progress_bar import progress_bar


@dataclass(frozen=True)
class PredictOptions:
    """How to label files.

    Attributes:
        tile: (h, w). An image of more pixels than this is segmented in tiles of this size.
        overlap: Pixels over which neighbouring tiles are blended, at most a third of a tile.
        probabilities: Write the class probabilities too.
        opacity: Of the labels in the overlays, in (0, 1].
        legend: Add class names and colours below the overlays.
        tint_background: Colour classes that are named as a background, too.
        areas: Write how much of each image each class takes, as CSV.
    """

    tile: tuple[int, int] = (1024, 2048)
    overlap: int = 128
    probabilities: bool = False
    opacity: float = 0.5
    legend: bool = True
    tint_background: bool = False
    areas: bool = False

    def check(self) -> None:
        """Raise ValueError for values that cannot be."""
        check_tiling(self.tile, self.overlap)
        if not 0 < self.opacity <= 1:
            raise ValueError(f'--opacity is {self.opacity}, expected a number in (0, 1]')


def predict_files(
    model: nn.Cell,
    inputs: Sequence[str | Path] | Sequence[Input],
    out: str | Path,
    options: PredictOptions | None = None,
) -> list[str]:
    """Label images and videos; what cannot be read is reported on stderr and left out.

    Args:
        model: From `init_segmentor`.
        inputs: See `find_inputs`; or what it gave.
        out: The folder to write to: ``labels`` and ``overlays`` (of a video a folder of labels by
            frame and an MP4), ``probabilities`` and the CSV files of areas if asked for.
        options: How.

    Returns:
        The problem of each input that could not be read.

    Raises:
        FileNotFoundError: An input names nothing.
        ValueError, OSError: See `prepare_folder`; or a result cannot be written.
    """
    options = options or PredictOptions()
    options.check()
    out = Path(out)
    found = [i for i in inputs if isinstance(i, Input)] or find_inputs(inputs, without=out)
    prepare_folder(out, options, found)
    skipped = Skipped()
    with ExitStack() as stack:
        areas = None
        if options.areas:
            areas = stack.enter_context(writing_areas(out / AREAS, out / AREA_SUMS, model.CLASSES))
        predictor = _Predictor(model, out, options, areas)
        for each in progress_bar(found, unit='file'):
            try:
                with skipped.long_names(each.path):
                    predictor.video(each) if each.is_video else predictor.image(each)
            except UnreadableInputError as error:
                skipped.add(str(error))
    return skipped.problems


def prepare_folder(
    out: str | Path,
    options: PredictOptions,
    inputs: Sequence[Input],
    sources: Sequence[str | Path | None] = (),
) -> None:
    """Make the folders for results, and check that these replace nothing of the user's.

    Args:
        out: The folder to write to.
        options: What is written.
        inputs: What is labelled.
        sources: More files that are read, such as the checkpoint.

    Raises:
        ValueError, OSError: See `Outputs.files`; or the folders cannot be made or written to.
    """
    out = Path(out)
    outputs = Outputs([*sources, *(each.path for each in inputs)])
    kinds = {LABELS: '.png', OVERLAYS: '.png'}
    if options.probabilities:
        kinds[PROBABILITIES] = '.npy'
    for kind, suffix in kinds.items():
        folder = out / kind
        names = [f'{kind}/{each.name}{suffix}' for each in inputs if not each.is_video]
        parts = [each.name for each in inputs if each.has_parts]
        names += [f'{kind}/{name}' for name in parts if (folder / name).is_dir()]
        if kind == LABELS:  # of those that are georeferenced
            tiffs = [each.name for each in inputs if each.has_parts and not each.is_video]
            names += [f'{kind}/{name}.tif' for name in tiffs]
        outputs.files(out, names, '--out')
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f'folder {str(folder)!r} cannot be written to')
    if options.areas:
        outputs.files(out, [AREAS, AREA_SUMS], '--csv')
    videos = [each.name for each in inputs if each.is_video]
    overlays = outputs.files(out, [f'{OVERLAYS}/{name}.mp4' for name in videos], '--out')
    for name, path in zip(videos, overlays, strict=True):
        # a video holds no mark: it comes with the labels of its frames
        if path.exists() and not (out / LABELS / name).is_dir():
            raise FileExistsError(
                f'--out: {str(path)!r} is there already and was not written by msseg: name another '
                'folder, or move it away'
            )


class _Predictor:
    def __init__(
        self, model: nn.Cell, out: Path, options: PredictOptions, areas: AreaTables | None
    ) -> None:
        self.labeller = Labeller(model, options.tile, options.overlap)
        self.prepare = self.labeller.prepare
        self.style = OverlayStyle(
            model.CLASSES, model.PALETTE, options.opacity, options.legend, options.tint_background
        )
        self.out, self.options, self.areas = out, options, areas
        self.num_channels = model.out_channels if options.probabilities else None
        self.value_type = np.uint8 if options.probabilities else None

    def image(self, each: Input) -> None:
        """Label an image; of a TIFF of several pages each, in a folder of the file's name."""
        num_pages = count_pages(each.path, self.prepare)
        if num_pages == 1:
            self._page(each, None)
            return
        digits = max(len(str(num_pages - 1)), 3)
        for page in range(num_pages):
            self._page(Input(each.path, f'{each.name}/{page:0{digits}d}'), page)

    def _page(self, each: Input, page: int | None) -> None:
        tile = self.options.tile
        raster = Raster(each.path, self.prepare, tile[0] * tile[1], page)
        num_classes = len(self.style.classes)
        counter = AreaCounter(num_classes)
        place = read_georeference(each.path, page or 0)
        size, channels = raster.size, self.num_channels
        display = Display.of_loader(self.prepare.loader)
        limits = None
        if raster.whole is None and (raster.is_deep or display.percentiles is not None):
            sample, no_data = raster.sample()  # the first rows may lack data
            limits = display_limits(sample, display, no_data)
        with writing_results(
            self.out,
            each.name,
            size,
            self.style,
            channels,
            place,
            raster.may_lack_data,
            display,
            limits,
        ) as write:
            found = self.labeller.rows(raster.rows, raster.size, each.path, self.value_type)
            for rows, labels, values in found:
                image, no_data = raster.read(rows.start, rows.stop)
                if no_data is not None:
                    labels[no_data] = no_data_label(num_classes)
                    if values is not None:
                        values[no_data] = 0
                write(image, labels, values)
                if self.areas is not None:
                    counter.add(labels)
        if self.areas is not None:
            self.areas.add(each.name, counter)

    def video(self, each: Input) -> None:
        """Label a video."""
        frames = VideoFrames(each.path)
        path = self.out / OVERLAYS / f'{each.name}.mp4'
        height = frames.size[0] + len(self.style.legend(frames.size))
        counters = []
        with (
            _new_folder(self.out / LABELS / each.name) as labels_folder,
            _new_folder(self.out / PROBABILITIES / each.name, self.num_channels) as values_folder,
            writing_video(path, (height, frames.size[1]), frames.fps) as video,
        ):
            bar = progress_bar(frames, frames.num_frames or None, unit='frame')
            for index, frame in enumerate(bar):
                name = f'{each.path}, frame {index}'
                labels, values = self.labeller.whole(
                    self.prepare.scale(frame), name, self.value_type
                )
                if values is not None:
                    np.save(values_folder / f'{index:06d}.npy', values)
                picture = labels_folder / f'{index:06d}.png'
                with writing_png(picture, frames.size, self.style.palette) as write:
                    write(labels)
                video.write(self.style.draw(frame, labels))
                if self.areas is not None:
                    counters.append(AreaCounter(len(self.style.classes)))
                    counters[-1].add(labels)
        for index, counter in enumerate(counters):
            self.areas.add(f'{each.name}/{index:06d}', counter)


@contextmanager
def _new_folder(path: Path, is_wanted: object = True) -> Iterator[Path]:
    """Yield a folder next to `path` that takes its place when the block succeeds."""
    if is_wanted is None:
        yield path
        return
    temporary = temporary_path(path, f'.{os.getpid()}.tmp')
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
