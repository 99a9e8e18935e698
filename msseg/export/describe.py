"""Description of a config's test pipeline for the metadata of an exported file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msseg.apis.build import eval_pipeline
from msseg.config import Config
from msseg.deploy.metadata import Preprocessing
from msseg.utils.errors import UserTypeError, UserValueError
from msseg.utils.image_size import scaled_wh

# They do nothing to an image that is tested once, or only change how it is stored.
_NEUTRAL = ('RandomFlip', 'ImageToTensor', 'Collect', 'DefaultFormatBundle', 'ToTensor')
# The only values of these arguments that `msseg.deploy` knows.
_FIXED = {
    'LoadImageFromFile': {'imdecode_backend': 'cv2'},
    'Resize': {'ratio_range': None, 'min_size': None},
}
_LOADING = (
    *('color_type', 'max_value', 'percentiles'),
    *('bands', 'nodata', 'nodata_rule', 'fill', 'array'),
)


def describe_preprocessing(cfg: Config, included: bool) -> Preprocessing:
    """Return the steps from an image to the network's input.

    Args:
        cfg: With ``data.test.pipeline``.
        included: Whether the exported file normalises.

    Raises:
        KeyError: The config has no test pipeline.
        ValueError: The pipeline has a step that `msseg.deploy` does not do.
    """
    found: dict[str, Any] = {}
    sizes: dict[str, Any] = {}
    keep_ratio = None
    for step in _steps(eval_pipeline(cfg), cfg, sizes):
        kind = step['type']
        for key, value in _FIXED.get(kind, {}).items():
            if step.get(key, value) != value:
                problem = f'{kind} has {key}={step[key]!r}, but an exported file takes {value!r}'
                raise _refusal(cfg, f'{problem} only')
        if kind == 'LoadImageFromFile':
            values = {key: step[key] for key in _LOADING if key in step}
            if values.get('bands'):
                values['color_type'] = 'unchanged'
            found |= {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        elif kind == 'Resize':
            if step.get('img_scale') is not None:
                sizes['scale'] = _scale(step['img_scale'], cfg)
            keep_ratio = step.get('keep_ratio', True)
        elif kind == 'Normalize':
            found['mean'], found['std'] = tuple(step['mean']), tuple(step['std'])
            found['to_rgb'] = step.get('to_rgb', True)
        elif kind not in _NEUTRAL:
            problem = f'has {kind}, which programs that run exported files do not do'
            raise _refusal(cfg, problem, 'leave it out, for instance with --cfg-options')
    if included and (found.get('max_value') or found.get('percentiles')):
        problem = 'scales images of more than 8 bits, but the file would take bytes'
        raise _refusal(cfg, problem, 'leave --include-preprocessing out')
    if 'mean' not in found:
        raise _refusal(cfg, "has no Normalize, so the network's input is not known")
    if keep_ratio is not None:  # sizes alone resize nothing
        found |= {**sizes, 'keep_ratio': keep_ratio}
    return Preprocessing(included=included, **found)


def _refusal(cfg: Config, problem: str, advice: str = '') -> UserValueError:
    return UserValueError(
        problem, config_path='data.test.pipeline', file=cfg.filename, advice=advice
    )


def _steps(
    pipeline: Sequence[Mapping[str, Any]], cfg: Config, sizes: dict[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield the transforms, also those in MultiScaleFlipAug, whose scale goes to `sizes`."""
    for step in pipeline:
        if not isinstance(step, Mapping) or 'type' not in step:
            problem, place = f'holds {step!r}', 'data.test.pipeline'
            expected = 'a dict with a type'
            raise UserTypeError(problem, expected=expected, config_path=place, file=cfg.filename)
        if step['type'] != 'MultiScaleFlipAug':
            yield step
            continue
        ratios = step.get('img_ratios') or [1.0]
        ratios = [ratios] if isinstance(ratios, (int, float)) else ratios
        if step.get('flip') or len(ratios) > 1:
            problem = 'averages over scales or flips, but an exported file runs once'
            raise _refusal(cfg, problem, 'leave one scale and no flip')
        if step.get('rounds_sizes') and ratios[0] != int(ratios[0]):
            problem = 'rounds sizes to the nearest pixel, but an exported file rounds down'
            raise _refusal(cfg, problem, 'give img_scale, or leave out rounds_sizes')
        if step.get('img_scale') is not None:
            sizes['scale'] = scaled_wh(_scale(step['img_scale'], cfg), ratios[0])
        else:
            sizes['ratio'] = float(ratios[0])
        yield from step['transforms']


def _scale(value: Any, cfg: Config) -> tuple[int, int]:
    """Return the only (w, h) of an ``img_scale``."""
    scales = value if isinstance(value[0], (list, tuple)) else [value]
    if len(scales) > 1:
        raise _refusal(cfg, f'img_scale is {value!r}, but an exported file runs at one scale')
    return int(scales[0][0]), int(scales[0][1])
