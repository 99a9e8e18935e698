"""What a config's test pipeline does to an image, as an exported file says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msseg.config import Config
from msseg.deploy.metadata import Preprocessing
from msseg.inference.preparation import eval_pipeline
from msseg.utils.image_size import scaled_wh

# do nothing to an image that is tested once, or only change how it is stored
_NEUTRAL = ('RandomFlip', 'ImageToTensor', 'Collect', 'DefaultFormatBundle', 'ToTensor')


def describe_preprocessing(cfg: Config, included: bool) -> Preprocessing:
    """Return what is to be done to an image before the network.

    Args:
        cfg: With ``data.test.pipeline``.
        included: Whether the exported file will normalise by itself.

    Raises:
        KeyError: The config has no test pipeline.
        ValueError: The pipeline does what `msseg.deploy` does not.
    """
    found: dict[str, Any] = {'scale': None, 'ratio': 1.0, 'keep_ratio': True}
    resizes = False
    for step in _steps(eval_pipeline(cfg), cfg, found):
        kind = step['type']
        if kind == 'LoadImageFromFile':
            _check(step, {'imdecode_backend': 'cv2'}, cfg)
            for name in ('color_type', 'max_value', 'percentiles'):
                if step.get(name) is not None:
                    value = step[name]
                    found[name] = tuple(value) if isinstance(value, list) else value
            is_scaled = 'max_value' in found or 'percentiles' in found
            if included and is_scaled:
                raise ValueError(
                    f'config {cfg.filename!r}: LoadImageFromFile of data.test.pipeline scales '
                    'images of more than 8 bits; a file that takes bytes cannot: leave '
                    '--include-preprocessing away'
                )
        elif kind == 'Resize':
            _check(step, {'ratio_range': None, 'min_size': None}, cfg)
            if step.get('img_scale') is not None:
                found['scale'] = _scale(step['img_scale'], cfg)
            found['keep_ratio'], resizes = step.get('keep_ratio', True), True
        elif kind == 'Normalize':
            found['mean'], found['std'] = tuple(step['mean']), tuple(step['std'])
            found['to_rgb'] = step.get('to_rgb', True)
        elif kind not in _NEUTRAL:
            raise ValueError(
                f'config {cfg.filename!r}: data.test.pipeline has {kind}, which programs that run '
                'exported files do not do: leave it away for exporting, as with --cfg-options'
            )
    if 'mean' not in found:
        raise ValueError(
            f'config {cfg.filename!r}: data.test.pipeline has no Normalize, so what the network '
            'expects is not known'
        )
    if not resizes:
        found.update(scale=None, ratio=1.0, keep_ratio=True)
    return Preprocessing(included=included, **found)


def _steps(
    pipeline: Sequence[Mapping[str, Any]], cfg: Config, found: dict[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the transforms, those inside MultiScaleFlipAug too, whose scale goes to `found`."""
    for step in pipeline:
        if not isinstance(step, Mapping) or 'type' not in step:
            raise TypeError(
                f'config {cfg.filename!r}: data.test.pipeline holds {step!r}, expected a dict with '
                'a type'
            )
        if step['type'] != 'MultiScaleFlipAug':
            yield step
            continue
        ratios = step.get('img_ratios') or [1.0]
        ratios = [ratios] if isinstance(ratios, (int, float)) else ratios
        if step.get('flip') or len(ratios) > 1:
            raise ValueError(
                f'config {cfg.filename!r}: data.test.pipeline averages over scales or flips; an '
                'exported file runs once: leave one scale and no flip'
            )
        if step.get('img_scale') is not None:
            found['scale'] = scaled_wh(_scale(step['img_scale'], cfg), ratios[0])
        else:
            found['ratio'] = float(ratios[0])
        yield from step['transforms']


def _scale(value: Any, cfg: Config) -> tuple[int, int]:
    """Return the only (w, h) of an ``img_scale``."""
    scales = value if isinstance(value[0], (list, tuple)) else [value]
    if len(scales) > 1:
        raise ValueError(
            f'config {cfg.filename!r}: img_scale of data.test.pipeline is {value!r}; an exported '
            'file runs at one scale'
        )
    return int(scales[0][0]), int(scales[0][1])


def _check(step: Mapping[str, Any], usual: Mapping[str, Any], cfg: Config) -> None:
    for key, value in usual.items():
        if step.get(key, value) != value:
            raise ValueError(
                f'config {cfg.filename!r}: {step["type"]} of data.test.pipeline has {key}='
                f'{step[key]!r}; programs that run exported files know {value!r} only'
            )
