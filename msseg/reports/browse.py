"""A page of training samples as the network receives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from msseg.apis.build import build_split
from msseg.apis.results import load_first
from msseg.apis.visualize import OverlayStyle
from msseg.config import Config
from msseg.datasets.result_files import outputs_of
from msseg.datasets.sample_rng import get_filename, load_sample
from msseg.reports.page import Cell, Page, parts, picture
from msseg.utils.display import Display, Limits, as_bgr, display_limits
from msseg.utils.progress_bar import progress_bar

PAGE = 'samples.html'
_LONGEST_SIDE = 420


def browse_dataset(
    cfg: Config,
    out: str | Path,
    count: int = 12,
    draws: int = 3,
    seed: int = 0,
    opacity: float = 0.5,
    tint_background: bool = False,
) -> Path:
    """Write a page of training samples: the image, and what augmentation makes of it.

    Args:
        cfg: With ``data.train``.
        out: Output folder of ``samples.html``.
        count: Number of samples, evenly spread over the data set.
        draws: Number of augmentations of each, those of the first epochs with `seed`.
        seed: Seed of the augmentation.
        opacity: Opacity of the labels, in (0, 1].
        tint_background: See `OverlayStyle`.

    Returns:
        The page.

    Raises:
        ValueError: A count below 1, or the pipeline gives no image and label.
        OSError: The page cannot be written.
    """
    if count < 1 or draws < 1 or not 0 < opacity <= 1:
        raise ValueError(
            f'--count is {count}, --draws is {draws}, --opacity is {opacity}: expected whole '
            'numbers from 1, and an opacity in (0, 1]'
        )
    dataset = build_split(cfg, 'train')
    (path,) = outputs_of(dataset, getattr(cfg, 'filename', None)).files(out, [PAGE], '--out')
    style = OverlayStyle.of_dataset(dataset, opacity=opacity, tint_background=tint_background)
    browser = _Browser(dataset, draws, seed, style)
    path.parent.mkdir(parents=True, exist_ok=True)
    indices = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round())
    shown = [browser.sample(int(i)) for i in progress_bar(indices, unit='img')]
    page = Page(
        f'{Path(cfg.filename or "config").stem}: training samples',
        f'{len(shown)} of {len(dataset)} images of {type(dataset).__name__}, seed {seed}',
    )
    page.add('Summary', browser.summary())
    page.add('Classes', browser.classes(), note='Of the pixels shown below, after augmentation; '
             'the rest is ignored.')  # fmt: skip
    key = parts().legend(browser.names, style.colours)
    page.add('Samples', key, *shown, note='Left the file, then what the network gets, '
             'normalisation undone; white is ignored. A click enlarges.')  # fmt: skip
    page.write(path)
    return path


class _Browser:
    """Draw samples and count their classes."""

    def __init__(self, dataset: Any, draws: int, seed: int, style: OverlayStyle) -> None:
        self.dataset, self.draws, self.seed, self.style = dataset, draws, seed, style
        self.names = list(dataset.CLASSES or ())
        self.pixels = np.zeros(len(self.names) + 1, np.int64)  # the last: ignored
        self.shapes: dict[tuple[int, ...], int] = {}
        self.sums: np.ndarray | float = 0.0  # of the channels and of their squares
        self.num_values = 0

    def sample(self, index: int) -> str:
        """Return a sample's pictures."""
        path = get_filename(self.dataset, index)
        image, display = load_first(self.dataset, index)
        limits = display_limits(image, display)
        label = self.dataset.get_gt_seg_map(index)
        if label.shape != image.shape[:2]:
            raise ValueError(
                f'{path}: the image is of size {image.shape[:2]} (height, width), its label of '
                f'{label.shape}; msseg check-data lists all such files'
            )
        shown = as_bgr(image, limits, display)
        panels = [('file', self.style.blend(shown, label), path)]
        for epoch in range(self.draws):
            shown, label = self._augmented(index, epoch, limits, display)
            title = f'draw {epoch + 1}: {shown.shape[0]}x{shown.shape[1]}'
            panels.append((title, self.style.blend(shown, label), f'{path}, {title}'))
        pictures = [picture(panel, alt, _LONGEST_SIDE, title=title) for title, panel, alt in panels]
        return parts().sample(path, [], pictures)

    def summary(self) -> str:
        """Return figures on what was drawn."""
        mean = self.sums[0] / max(self.num_values, 1)
        std = np.sqrt(np.maximum(self.sums[1] / max(self.num_values, 1) - mean**2, 0))
        sizes = ', '.join(f'{n} of {h}x{w}' for (h, w), n in sorted(self.shapes.items()))
        steps = getattr(self.dataset, 'pipeline', None)
        names = ', '.join(type(step).__name__ for step in getattr(steps, 'transforms', []))
        ignored = self.pixels[-1] / max(self.pixels.sum(), 1)
        return parts().cards(
            [
                ('images', f'{len(self.dataset):,}'),
                ('classes', f'{len(self.names)}'),
                ('ignored pixels', f'{100 * ignored:.1f} %'),
            ]
        ) + parts().facts(
            [
                ('pipeline', names),
                ('drawn sizes', sizes),
                ('what the network gets', f'mean {_three(mean)}, standard deviation {_three(std)}'),
            ]
        )

    def classes(self) -> str:
        """Return how often each class was drawn."""
        total = max(int(self.pixels.sum()), 1)
        rows = [
            [
                Cell.of_class(name, self.style.colours[i]),
                Cell.count(int(self.pixels[i])),
                Cell.percent(float(self.pixels[i] / total)),
            ]
            for i, name in enumerate(self.names)
        ]
        return parts().table(['Class', 'Pixels', 'Share'], rows, 'classes')

    def _augmented(
        self, index: int, epoch: int, limits: Limits, display: Display
    ) -> tuple[np.ndarray, np.ndarray]:
        data = load_sample(self.dataset, index, self.seed, epoch)
        if not isinstance(data, dict) or not {'img', 'gt_semantic_seg'} <= data.keys():
            raise ValueError(
                "data.train.pipeline gives no image and label: end it with dict(type='Collect', "
                "keys=['img', 'gt_semantic_seg'])"
            )
        img, label = np.asarray(data['img'], np.float32), np.asarray(data['gt_semantic_seg'])
        label = label.reshape(label.shape[-2:])
        self._count(img, label)
        norm = data.get('img_metas', {}).get('img_norm_cfg')
        return undo_normalize(img, norm, limits, display), label

    def _count(self, img: np.ndarray, label: np.ndarray) -> None:
        is_known = (label >= 0) & (label < len(self.names))
        counts = np.bincount(label[is_known].astype(np.int64), minlength=len(self.names))
        self.pixels += np.append(counts, label.size - is_known.sum())
        self.shapes[label.shape] = self.shapes.get(label.shape, 0) + 1
        values = img.reshape(len(img), -1).astype(np.float64)
        self.sums = self.sums + np.stack([values.sum(axis=1), (values**2).sum(axis=1)])
        self.num_values += label.size


def undo_normalize(
    img: np.ndarray,
    norm: dict | None,
    limits: Limits = (0, 255),
    display: Display | None = None,
) -> np.ndarray:
    """Return a network's input as a picture.

    Args:
        img: float32 (c, h, w).
        norm: ``mean``, ``std`` and ``to_rgb``, as Normalize writes them; None when it was not.
        limits: What to show as black and white, of the image before.
        display: Which channels are shown.

    Returns:
        BGR uint8 (h, w, 3).
    """
    shown = img.transpose(1, 2, 0)
    if norm is not None:
        shown = shown * np.float32(norm['std']) + np.float32(norm['mean'])
        if norm['to_rgb']:
            shown = shown[..., ::-1]
    return as_bgr(shown, limits, display or Display())


def _three(values: np.ndarray) -> str:
    return ', '.join('n/a' if np.isnan(value) else f'{value:.2f}' for value in values)
