"""A model in two lines of Python: load it, call it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from msseg.apis.image_inputs import LABELS, OVERLAYS, PROBABILITIES, Input, find_inputs
from msseg.apis.inference import Image, init_segmentor
from msseg.apis.model_source import find_model
from msseg.apis.visualize import OverlayStyle
from msseg.config import Config
from msseg.config.find_base import is_config
from msseg.config.own_configs import own_names
from msseg.prediction.geotiff import Georeference, read_georeference
from msseg.prediction.labeller import Labeller
from msseg.prediction.predict import PredictOptions
from msseg.prediction.raster import Raster, count_pages
from msseg.prediction.results import as_uint8, label_suffix, writing_results
from msseg.prediction.video import VideoFrames
from msseg.utils.display import Display, as_bgr, count_pixels
from msseg.utils.errors import UserFileNotFoundError
from msseg.utils.image_loading import LoadedImage, no_data_label
from msseg.utils.outputs import Outputs, unique_names
from msseg.utils.suggest import nearest
from msseg.weights import find_file, is_address

Images = Image | Iterable[Image]
_SHOWN_CLASSES = 3


def load(
    source: str | Path | Config,
    weights: str | Path | None = None,
    device: str = 'auto',
    cfg_options: Mapping[str, Any] | None = None,
    tile: tuple[int, int] = PredictOptions.tile,
    overlap: int = PredictOptions.overlap,
    download: bool | None = None,
) -> Model:
    """Load a model that labels images.

    Args:
        source: The name of one of msseg's own configs, a config file, a config; or a checkpoint or
            a work dir, which hold their config, or the checkpoint's address or name in
            ``msseg weights list``.
        weights: With a config, a checkpoint, a work dir for its newest, ``latest`` or ``best``, an
            address, or a name of ``msseg weights list``. Without, the network is random, and a
            warning says so.
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``, with a card's number as ``GPU:1``.
        cfg_options: Settings by dotted key that replace the config's.
        tile: (h, w). An image of more pixels than this is segmented in tiles of this size.
        overlap: Pixels over which neighbouring tiles are blended.
        download: Fetch weights that are not on this machine; by default if ``MSSEG_DOWNLOAD`` is 1.

    Raises:
        FileNotFoundError: `source` or `weights` names nothing.
        ValueError: They do not fit each other.

    Example::

        model = msseg.load('ocrnet_nuclei', weights='work_dirs/ocrnet_nuclei')
        result = model('cells.png')
        result.labels, result.probabilities
        result.overlay().show()
        result.save('results')
    """
    if is_address(source):
        source = find_file(source, 'source', download)
    _check_source(source, weights)
    if is_address(weights):
        weights = find_file(weights, 'weights', download)
    cfg, checkpoint = find_model(source, weights, cfg_options)
    return Model(init_segmentor(cfg, checkpoint, device), tile, overlap)


def _check_source(source: object, weights: object) -> None:
    if not isinstance(source, (str, Path)) or is_config(source):
        return
    if weights is not None and os.path.exists(source):
        raise ValueError(
            f'{str(source)!r} is no config, and weights are given: name the config first, or leave '
            'weights out for the config in that checkpoint'
        )
    name = str(source)
    if os.path.exists(name) or Path(name).name in ('latest', 'best'):
        return
    near = nearest(name, [*own_names(), *os.listdir()], 1)
    raise UserFileNotFoundError(
        f'{name!r} is no config, no checkpoint and no work dir',
        suggestions=near,
        advice='' if near else 'msseg.list_models() lists the names of configs',
    )


class Model:
    """A segmentor that labels images; `load` makes it.

    Args:
        network: From `init_segmentor`.
        tile: See `load`.
        overlap: See `load`.

    Attributes:
        network: The segmentor.
        cfg: Its config.
        classes: Names of the classes, by label.
        palette: RGB colours of the classes.
    """

    def __init__(
        self,
        network: Any,
        tile: tuple[int, int] = PredictOptions.tile,
        overlap: int = PredictOptions.overlap,
    ) -> None:
        self.network, self.cfg = network, network.cfg
        self.classes, self.palette = network.CLASSES, network.PALETTE
        self._labeller = Labeller(network, tuple(tile), overlap)

    def __call__(self, images: Images) -> Result | list[Result]:
        """Label images.

        Args:
            images: The path of an image, an array (h, w, 3) in BGR order as from cv2.imread, a
                Pillow image; or several: a list of these, a folder, a pattern, a TIFF of several
                pages, a video.

        Returns:
            The result of an image, or the list of those of several.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: An image cannot be read, or has other channels than the network takes.
        """
        results = list(self.stream(images))
        return results[0] if _is_one(images) and len(results) == 1 else results

    def stream(self, images: Images) -> Iterator[Result]:
        """Yield the results of images one by one, so that many need not be in memory.

        Args:
            images: See `__call__`; or anything to iterate over.
        """
        seen: Counter[str] = Counter()
        for source in _sources(images):
            name = source.name if isinstance(source, Input) else 'image'
            seen[name] += 1
            name = f'{name}~{seen[name]}' if seen[name] > 1 else name
            if isinstance(source, Input):
                yield from self._of_file(Input(source.path, name))
            else:
                found = self._labeller.prepare.start(source)
                yield self._label(LoadedImage(found['img'], found.get('no_data')), name)

    def _of_file(self, source: Input) -> Iterator[Result]:
        prepare, path = self._labeller.prepare, source.path
        if source.is_video:
            for index, frame in enumerate(VideoFrames(path)):
                image = LoadedImage(prepare.scale(frame), None)
                yield self._label(image, f'{source.name}/{index:06d}', path)
            return
        num_pages = count_pages(path, prepare)
        for page in range(num_pages):
            number = None if num_pages == 1 else page
            raster = Raster(path, prepare, self._labeller.tile[0] * self._labeller.tile[1], number)
            image = raster.read(0, raster.size[0])
            name = source.name if number is None else f'{source.name}/{page:03d}'
            yield self._label(image, name, path, read_georeference(path, page))

    def _label(
        self,
        loaded: LoadedImage,
        name: str,
        path: Path | None = None,
        place: Georeference | None = None,
    ) -> Result:
        image, no_data = loaded
        labels, _ = self._labeller.whole(image, path or name)
        labels = labels.astype(np.int32)
        if no_data is not None:
            labels[no_data] = no_data_label(len(self.classes))

        def probabilities() -> np.ndarray:
            values = self._labeller.whole(image, path or name, np.float32)[1]
            if no_data is not None:
                values[no_data] = 0
            return np.ascontiguousarray(np.moveaxis(values, -1, 0))

        style = OverlayStyle(self.classes, self.palette)
        display = Display.of_loader(self._labeller.prepare.loader)
        return Result(image, labels, name, path, style, probabilities, place, display)


def _sources(images: Images) -> Iterator[Input | Image]:
    """Yield files, each with a name, and images; what only can be iterated over, piece by piece."""
    is_one = isinstance(images, (str, Path, np.ndarray, PIL.Image.Image))
    items = [images] if is_one or not isinstance(images, Iterable) else images
    if not isinstance(items, (list, tuple)):
        for item in items:
            yield from _sources(item)
        return
    found = [find_inputs([i]) if isinstance(i, (str, Path)) else [i] for i in items]
    sources = [source for each in found for source in each]
    folders = [item for item in items if isinstance(item, (str, Path)) and os.path.isdir(item)]
    paths = list(dict.fromkeys(i.path for i in sources if isinstance(i, Input)))
    names = dict(zip(paths, unique_names(paths, folders), strict=True))
    for source in sources:
        yield Input(source.path, names[source.path]) if isinstance(source, Input) else source


def _is_one(images: object) -> bool:
    """Whether a single image is given, or a file that may hold one."""
    if isinstance(images, (str, Path)):
        return os.path.isfile(images)
    return isinstance(images, (np.ndarray, PIL.Image.Image))


class Result:
    """The labels of an image.

    Attributes:
        image: The image as loaded, (h, w, c), colours in BGR order.
        labels: int32 (h, w), the class of each pixel; 255 for a pixel without data, with more than
            255 classes 65535.
        name: What its files are called, without suffix.
        path: The image's file; None for an array.
        place: Where the image lies on the earth; None if that is not known.
    """

    def __init__(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        name: str,
        path: Path | None,
        style: OverlayStyle,
        probabilities: Callable[[], np.ndarray],
        place: Georeference | None = None,
        display: Display | None = None,
    ) -> None:
        self._display = display or Display()
        self.image, self.labels = image, labels
        self.name, self.path, self.place = name, path, place
        self._style, self._compute = style, probabilities

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(self._style.classes)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float32 (num_classes, h, w); (1, h, w), of class 1, for a network with one channel.

        The network computes them when they are asked for.
        """
        return self._compute()

    @property
    def shares(self) -> dict[str, float]:
        """The share of the pixels that each class has, by its name, in [0, 1]."""
        pixels = count_pixels(self.labels, len(self.classes)) / self.labels.size
        return dict(zip(self.classes, pixels.tolist(), strict=True))

    def overlay(
        self, opacity: float = 0.5, legend: bool = True, tint_background: bool = False
    ) -> PIL.Image.Image:
        """Return the image under its labels, a Pillow image in RGB.

        Args:
            opacity: Opacity of the labels, in (0, 1].
            legend: Add class names and colours below the image.
            tint_background: Colour background classes, too.
        """
        style = OverlayStyle(
            self._style.classes, self._style.palette, opacity, legend, tint_background
        )
        picture = style.draw(as_bgr(self.image, display=self._display), self.labels)
        return PIL.Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))

    def save(self, folder: str | Path, probabilities: bool = False) -> list[Path]:
        """Write ``labels/NAME.png`` and ``overlays/NAME.png``, as ``msseg predict`` does.

        The labels of a georeferenced TIFF are ``labels/NAME.tif``.

        Args:
            folder: It need not exist.
            probabilities: Write ``probabilities/NAME.npy``, uint8 (h, w, classes), too; 255 is 1.

        Returns:
            The files.

        Raises:
            ValueError, OSError: A file would replace one that msseg has not written.
        """
        values = as_uint8(self.probabilities) if probabilities else None
        kinds = {LABELS: label_suffix(self.place), OVERLAYS: '.png', PROBABILITIES: '.npy'}
        names = [f'{kind}/{self.name}{suffix}' for kind, suffix in kinds.items()]
        names = names if probabilities else names[:-1]
        files = Outputs([self.path]).files(folder, names, 'folder')
        size, channels = self.labels.shape, None if values is None else values.shape[2]
        lacks_data = bool((self.labels >= len(self.classes)).any())
        with writing_results(
            Path(folder),
            self.name,
            size,
            self._style,
            channels,
            self.place,
            lacks_data,
            self._display,
        ) as write:
            write(self.image, self.labels, values)
        return files

    def __repr__(self) -> str:
        shares = sorted(self.shares.items(), key=lambda each: -each[1])
        parts = [f'{name} {share:.1%}' for name, share in shares if share][:_SHOWN_CLASSES]
        height, width = self.labels.shape
        return f'Result({self.name!r}, {height}x{width}: {", ".join(parts)})'
