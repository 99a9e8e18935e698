"""The Python interface for predictions: load a model, segment images, show the results."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from mindspore import nn

from msseg.apis.architecture import check_architecture
from msseg.apis.build import build_model, eval_pipeline, inner_datasets
from msseg.apis.image_inputs import find_inputs
from msseg.apis.model_source import find_model
from msseg.apis.visualize import OverlayStyle, write_image
from msseg.config import Config, required
from msseg.datasets.builder import DATASETS
from msseg.datasets.classes import choose_classes
from msseg.datasets.palette import default_palette
from msseg.inference.inferencer import Inferencer
from msseg.inference.preparation import Preparation
from msseg.runner import load_checkpoint, load_weights
from msseg.utils.device import setup_device, switch_off_compile_cache
from msseg.utils.display import Display, as_bgr
from msseg.utils.logging import get_logger
from msseg.utils.outputs import Outputs, Skipped

Image = str | Path | np.ndarray | PIL.Image.Image
# matplotlib's backends that show nothing
_FILES_ONLY = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


def init_segmentor(
    config: str | Path | Config | None,
    checkpoint: str | Path | None = None,
    device: str = 'auto',
    cfg_options: dict[str, Any] | None = None,
    device_id: int | None = None,
) -> nn.Cell:
    """Build a segmentor and load its weights.

    Args:
        config: A config file or a config; None, or the checkpoint in its place, for the config
            that the checkpoint holds.
        checkpoint: A .ckpt file, or another framework's; a work dir for its newest; ``latest`` or
            ``best`` of a work dir. None leaves random weights.
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``, with a card's number as ``Ascend:1``;
            ``cuda:0`` and ``npu:0`` are understood.
        cfg_options: Settings by dotted key that replace the config file's.
        device_id: Number of the card, unless `device` contains it.

    Returns:
        The model, ready to predict. Its attribute ``cfg`` is the config, ``CLASSES`` and
        ``PALETTE`` are those of the checkpoint, else of the config's data set; its method
        `show_result` draws labels.

    Source: MMSegmentation 0.30 ``init_segmentor``.

    Example::

        model = init_segmentor('my_config.py', 'latest', device='CPU')
        labels = inference_segmentor(model, 'street.png')[0]
    """
    cfg, path = find_model(config, checkpoint, cfg_options)
    setup_device(device, device_id, settings=cfg.get('device'))
    switch_off_compile_cache()  # which graphs come first depends on the images
    model = build_model(cfg)
    meta: dict = {}
    if path is None:
        get_logger().warning(
            'no weights are given: the network of %s is random, and so are its labels', cfg.filename
        )
    else:
        loaded = load_checkpoint(path).as_evaluated()
        check_architecture(loaded, required(cfg, 'model'))
        load_weights(model, loaded)
        meta = loaded.meta
    model.set_train(False)
    model.cfg = cfg
    model.CLASSES, model.PALETTE = find_classes(model, meta, cfg)
    model.show_result = functools.partial(show_result, model)
    return model


init_model = init_segmentor  # its name in MMSegmentation 1.x


def inference_segmentor(
    model: nn.Cell, imgs: Image | Sequence[Image], with_probabilities: bool = False
) -> list[np.ndarray] | tuple[list[np.ndarray], list[np.ndarray]]:
    """Segment images with the config's ``test_cfg`` and test pipeline, one after the other.

    Args:
        model: From `init_segmentor`.
        imgs: The path of an image, an array (h, w, 3) in BGR order as from cv2.imread, a Pillow
            image, or a list of these. A folder stands for its images, searched to any depth and
            sorted by name.
        with_probabilities: Return the class probabilities too.

    Returns:
        For each image its classes, int32 (h, w) at the image's size; with `with_probabilities` also
        the list of probabilities, float32 (num_classes, h, w), or (1, h, w) for class 1 of a model
        with one output channel.

    Source: MMSegmentation 0.30 ``inference_segmentor``.
    """
    prepare, inferencer = Preparation(eval_pipeline(model.cfg)), inferencer_of(model)
    labels, probabilities = [], []
    for img, _ in _each_image(imgs):
        prepared = prepare(img)
        if with_probabilities:
            probabilities.append(inferencer.probabilities(*prepared))
            found = inferencer.decide(probabilities[-1])
        else:
            found = inferencer.labels(*prepared)
        labels.append(found.astype(np.int32, copy=False))
    return (labels, probabilities) if with_probabilities else labels


def inference_model(model: nn.Cell, img: Image | Sequence[Image]) -> np.ndarray | list[np.ndarray]:
    """Segment images as `inference_segmentor`, under its name in MMSegmentation 1.x.

    Return the label map of one image, int32 (h, w), or the list of those of a list or folder. (In
    MMSegmentation, it is the ``pred_sem_seg`` of a ``SegDataSample``.)
    """
    labels = inference_segmentor(model, img)
    is_one = not isinstance(img, (list, tuple)) and (
        not isinstance(img, (str, Path)) or not Path(img).is_dir()
    )
    return labels[0] if is_one else labels


def show_result_pyplot(
    model: nn.Cell,
    img: Image,
    result: np.ndarray | Sequence[np.ndarray],
    palette: Sequence[Sequence[int]] | None = None,
    fig_size: tuple[float, float] = (15, 10),
    opacity: float = 0.5,
    title: str = '',
    block: bool = True,
    out_file: str | Path | None = None,
    legend: bool = True,
    tint_background: bool = False,
    show: bool = True,
) -> None:
    """Show an image blended with its labels, if matplotlib can open a window.

    Args:
        model: From `init_segmentor`.
        img: The image: a path, a BGR array or a Pillow image; or a folder of images.
        result: The output of `inference_segmentor`: a label map, or a list of one for each image.
        palette: RGB colours of the classes; by default the model's.
        fig_size: Size of the window in inches.
        opacity: Opacity of the labels, in (0, 1].
        title: Title of the window.
        block: Wait until the window is closed.
        out_file: File for the picture at the image's size; for a folder of images a folder.
        legend: Add class names and colours below the image.
        tint_background: Colour background classes, too; see `OverlayStyle`.
        show: Open a window; False only writes `out_file`.

    Source: MMSegmentation 0.30 ``show_result_pyplot``.
    """
    colours = model.PALETTE if palette is None else palette
    style = OverlayStyle(model.CLASSES, colours, opacity, legend, tint_background)
    images = list(_each_image(img))
    results = result if isinstance(result, (list, tuple)) else [result]
    if len(images) != len(results):
        raise ValueError(
            f'there are {len(results)} results for {len(images)} images: give what '
            'inference_segmentor returned for them'
        )
    paths = [None] * len(images) if out_file is None else _result_paths(images, out_file)
    prepare = Preparation(eval_pipeline(model.cfg))
    skipped = Skipped()
    for (image, name), labels, path in zip(images, results, paths, strict=True):
        picture = _draw_result(prepare, image, labels, style)
        if path is not None:
            with skipped.long_names(image) if name else nullcontext():
                write_image(path, picture)
        if show:
            _show(picture, fig_size, title, block)
    skipped.raise_if_any()


def show_result(
    model: nn.Cell,
    img: Image,
    result: np.ndarray | Sequence[np.ndarray],
    palette: Sequence[Sequence[int]] | None = None,
    win_name: str = '',
    show: bool = False,
    out_file: str | Path | None = None,
    opacity: float = 0.5,
) -> np.ndarray:
    """Blend an image with its labels; models from `init_segmentor` have it as a method.

    See `show_result_pyplot` for most arguments. Return the picture, BGR uint8 (h, w, 3).

    Source: MMSegmentation 0.30 ``BaseSegmentor.show_result``.
    """
    colours = model.PALETTE if palette is None else palette
    style = OverlayStyle(model.CLASSES, colours, opacity, has_legend=False)
    labels = result[0] if isinstance(result, (list, tuple)) else result
    path = None if out_file is None else _result_paths([(img, '')], out_file)[0]
    picture = _draw_result(Preparation(eval_pipeline(model.cfg)), img, labels, style)
    if path is not None:
        write_image(path, picture)
    if show:
        _show(picture, (15, 10), win_name, block=True)
    return picture


def _result_paths(images: Sequence[tuple[Image, str]], out_file: str | Path) -> list[Path]:
    outputs = Outputs(image for image, _ in images if isinstance(image, (str, Path)))
    names = [f'{name}.png' for _, name in images if name]
    if names:
        return outputs.files(out_file, names, 'out_file')
    return [outputs.file(out_file, 'out_file') for _ in images]


def _each_image(imgs: Image | Sequence[Image]) -> Iterator[tuple[Image, str]]:
    """Yield images, those of a folder with their names in it."""
    for img in imgs if isinstance(imgs, (list, tuple)) else [imgs]:
        if isinstance(img, (str, Path)) and Path(img).is_dir():
            yield from ((i.path, i.name) for i in find_inputs([img]) if not i.is_video)
        else:
            yield img, ''


def _draw_result(
    prepare: Preparation, img: Image, labels: np.ndarray, style: OverlayStyle
) -> np.ndarray:
    image = img if isinstance(img, np.ndarray) else prepare.start(img)['img']
    shown = as_bgr(image, display=Display.of_loader(prepare.loader))
    if labels.shape != shown.shape[:2]:
        raise ValueError(
            f'the labels are of size {labels.shape}, but the image is of {shown.shape[:2]}: give '
            'what inference_segmentor returned for this image'
        )
    return style.draw(shown, labels)


def inferencer_of(model: nn.Cell) -> Inferencer:
    """Return the model's `Inferencer`, always the same one, which keeps the compiled graphs."""
    if getattr(model, 'inferencer', None) is None:
        model.inferencer = Inferencer(model)
    return model.inferencer


def _show(picture: np.ndarray, size: tuple[float, float], title: str, block: bool) -> None:
    import matplotlib.pyplot as plt

    from msseg.apis.fonts import fonts_for

    if plt.get_backend().lower() in _FILES_ONLY:
        get_logger().info('matplotlib has no window here (backend %s)', plt.get_backend())
        return
    plt.figure(figsize=size)
    plt.imshow(picture[..., ::-1])
    with fonts_for([title]):
        plt.title(title)
        plt.tight_layout()
        plt.show(block=block)


def find_classes(
    model: nn.Cell, meta: dict, cfg: Config
) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """Return the class names and colours of a model, by its checkpoint, data set or number."""
    sources = [(meta.get('CLASSES'), meta.get('PALETTE'))]
    node = next(inner_datasets(required(cfg, 'data.test'))) if cfg.get('data') else {}
    of_type = DATASETS.get(node['type']) if isinstance(node.get('type'), str) else node.get('type')
    if of_type is not None:
        choice = choose_classes(
            getattr(of_type, 'CLASSES', None),
            getattr(of_type, 'PALETTE', None),
            node.get('classes'),
            node.get('palette'),
            of_type.__name__,
        )
        sources.append((choice.names, choice.palette))
    count = model.num_classes
    for names, palette in sources:
        if names is not None and len(names) == count:
            colours = palette if palette is not None and len(palette) else default_palette(names)
            return tuple(names), [tuple(int(value) for value in colour) for colour in colours]
    get_logger().warning(
        'neither the checkpoint nor data.test of the config names the %d classes of the model: '
        'they are called by their numbers',
        count,
    )
    names = tuple(f'class {i}' for i in range(count))
    return names, default_palette(names)
