"""Compose transforms into a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.resize_crop import ResizeCrop
from msseg.registry import add_config_path, build_from_cfg, config_path


@PIPELINES.register_module()
class Compose:
    """Apply transforms one after the other.

    A Resize right before a RandomCrop is done together with it, with the same result: see
    `resize_crop`. The attribute `transforms` holds them as given, and `where` their place in the
    config, such as ``data.train.pipeline``, or ''.

    Args:
        transforms: Configs or callables. A transform that returns None ends the pipeline with
            None.

    Raises:
        TypeError: Something that is neither.

    Examples:
        >>> import numpy as np
        >>> pipeline = Compose([dict(type='Pad', size=(4, 4)), dict(type='RandomFlip', prob=1.0)])
        >>> pipeline(dict(img=np.ones((2, 4), np.uint8)))['img'].tolist()
        [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    """

    def __init__(self, transforms: Sequence[dict | Callable[[dict], dict | None]]) -> None:
        if not isinstance(transforms, Sequence) or isinstance(transforms, str):
            raise TypeError(f'a pipeline must be a list of transforms, but got {transforms!r}')
        first = transforms[0] if transforms else None
        self.where = config_path(first).removesuffix('[0]') if isinstance(first, dict) else ''
        self.transforms = [self._build(transform) for transform in transforms]
        self._steps: list[Callable] = []
        for transform in self.transforms:
            if self._steps and ResizeCrop.fuses(self._steps[-1], transform):
                self._steps[-1] = ResizeCrop(self._steps[-1], transform)
            else:
                self._steps.append(transform)

    @staticmethod
    def _build(transform: dict | Callable) -> Callable:
        if isinstance(transform, dict):
            return build_from_cfg(transform, PIPELINES)
        if callable(transform):
            return transform
        raise TypeError(
            f'a transform must be a dict with a type, or callable, but got {transform!r}'
        )

    def __call__(self, results: dict) -> dict | None:
        for step in self._steps:
            try:
                results = step(results)
            except cv2.error as error:
                raise ValueError(_refusal(step, results, error)) from error
            except KeyError as error:  # what another transform was to write
                add_config_path(error, self.where)
                raise
            if results is None:
                return None
        return results

    def __repr__(self) -> str:
        inside = ''.join(f'\n    {transform}' for transform in self.transforms)
        return f'{type(self).__name__}({inside}\n)'


def _refusal(step: Callable, results: dict, error: cv2.error) -> str:
    """Say what OpenCV did not do to which image."""
    img = results.get('img')
    about = f'{img.dtype} of shape {img.shape}' if isinstance(img, np.ndarray) else 'no array'
    reason = ' '.join((error.err or str(error)).split())
    return (
        f'{results.get("filename") or "image"}: {type(step).__name__} cannot be applied to it '
        f'({about}): OpenCV says {reason!r}'
    )
