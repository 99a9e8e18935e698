"""Pipelines of MMSegmentation 1.x, and the data_preprocessor that follows them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.names import registered_name
from msseg.config.mmseg1x.section import Section
from msseg.utils.arguments import NonEmpty, Pixels, Positive, Scale

_LOCAL = (None, {'backend': 'local'}, {'backend': 'disk'})
_KEEP_RATIO = 'keep_ratio'
_SCALE = Pixels | Scale  # (w, h)
# What Collect gathers without a RandomFlip. PackSegInputs gathers what is there.
_OF_LOADING = (
    'filename', 'ori_filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
    'img_norm_cfg',
)  # fmt: skip


@dataclass
class Preprocessor:
    """The steps that ``model.data_preprocessor`` does there and a pipeline does here."""

    normalize: ConfigDict | None = None
    pad: ConfigDict | None = None
    pad_in_tests: ConfigDict | None = None

    def train_steps(self, has_flip: bool) -> list[ConfigDict]:
        """Return the last steps of a training pipeline, in which there may be a RandomFlip."""
        steps = [step.deepcopy() for step in (self.normalize, self.pad) if step]
        collect = _step('Collect', keys=['img', 'gt_semantic_seg'])
        if not has_flip:
            collect['meta_keys'] = list(_OF_LOADING)
        return [*steps, _step('DefaultFormatBundle'), collect]

    def test_steps(self) -> list[ConfigDict]:
        """Return the last steps of a test pipeline, for each scale and flip."""
        steps = [step.deepcopy() for step in (self.normalize, self.pad_in_tests) if step]
        last = [_step(kind, keys=['img']) for kind in ('ImageToTensor', 'Collect')]
        return [_step('RandomFlip'), *steps, *last]


def read_preprocessor(section: Section | None) -> Preprocessor:
    """Return the steps of a ``data_preprocessor``; None is for a model without one."""
    if section is None:
        return Preprocessor()
    section.expect(
        'type', 'SegDataPreProcessor', advice='write its steps into the pipelines of a config here'
    )
    section.expect('batch_augments', None)
    section.expect('non_blocking', False, True)
    size, divisor = section.take('size'), section.take('size_divisor')
    if size is not None and divisor is not None:
        raise section.refusal('size_divisor', 'give one of size and size_divisor')
    fills = ConfigDict()
    section.give(fills, {'pad_val': 'pad_val', 'seg_pad_val': 'seg_pad_val'})
    fills = ConfigDict(pad_val=0, seg_pad_val=255) | fills
    tests = section.section('test_cfg')
    of_tests = None
    if tests is not None:
        of_tests = _pad(section, tests.take('size'), tests.take('size_divisor'), fills)
        tests.close()
    pad = _pad(section, size, divisor, fills)
    result = Preprocessor(_normalize(section), pad, of_tests)
    section.close()
    return result


def _normalize(section: Section) -> ConfigDict | None:
    mean, std = (section.take(key, hint=NonEmpty[float] | None) for key in ('mean', 'std'))
    flags = [section.take(key, False) for key in ('bgr_to_rgb', 'rgb_to_bgr')]
    if mean is None and not any(flags):
        return None
    step = _step('Normalize')
    # without a mean the colours are swapped only
    mean = [0.0, 0.0, 0.0] if mean is None else mean
    section.put(step, 'mean', mean, 'mean')
    section.put(step, 'std', [1.0] * len(mean) if std is None else std, 'std')
    section.put(step, 'to_rgb', any(flags) and len(mean) == 3, 'bgr_to_rgb')
    return step


def _pad(section: Section, size: Any, divisor: Any, fills: Mapping[str, Any]) -> ConfigDict | None:
    if size is None and divisor is None:
        return None
    step = _step('Pad')
    if size is None:
        section.put(step, 'size_divisor', divisor, 'size_divisor')
    else:
        section.put(step, 'size', size, 'size')
    for key, value in fills.items():
        section.put(step, key, value, key)
    return step


def train_pipeline(
    steps: Sequence[Section], preprocessor: Preprocessor, is_mixed: bool = False
) -> list[ConfigDict]:
    """Translate a pipeline for training; ``PackSegInputs`` becomes the preprocessor's steps.

    Args:
        steps: The transforms.
        preprocessor: What follows them.
        is_mixed: Whether the samples go to another pipeline, which packs them.

    Raises:
        ValueError: Nothing packs the samples, so that they would not be normalised.
    """
    if steps and not is_mixed and steps[-1].kind() != 'PackSegInputs':
        advice = "end the pipeline with dict(type='PackSegInputs'), which the preprocessor follows"
        raise steps[-1].refusal('type', advice)
    result = []
    for step in steps:
        if step.kind() == 'PackSegInputs':
            _take_pack(step)
            has_flip = any(each.get('type') == 'RandomFlip' for each in result)
            result += preprocessor.train_steps(has_flip)
        else:
            result.append(_translate(step))
    return result


def test_pipeline(steps: Sequence[Section], preprocessor: Preprocessor) -> list[ConfigDict]:
    """Translate a pipeline for evaluation into one with a ``MultiScaleFlipAug``.

    A transform before ``Resize`` stays before it, one after it is applied to each scale. Labels
    are not loaded: evaluation reads them at their own size.
    """
    before: list[ConfigDict] = []
    after: list[ConfigDict] | None = None
    views = _step('MultiScaleFlipAug', img_ratios=[1.0], flip=False)
    for step in steps:
        kind = step.kind()
        if kind == 'TestTimeAug':
            raise step.refusal('type', 'put it into tta_pipeline, for msseg test --aug-test')
        if kind in ('LoadAnnotations', 'PackSegInputs'):
            continue
        if kind in ('Resize', 'ResizeShortestEdge'):
            if after is not None:
                raise step.refusal('type', 'keep one Resize')
            after = [_view(views, [step])]
        elif after is None and kind.startswith('Load'):
            before.append(_translate(step))
        else:
            (before if after is None else after).append(_translate(step))
    views['transforms'] = [*(after or []), *preprocessor.test_steps()]
    return [*before, views]


def tta_pipeline(steps: Sequence[Section], preprocessor: Preprocessor) -> list[ConfigDict]:
    """Translate ``tta_pipeline``: its ``TestTimeAug`` becomes a ``MultiScaleFlipAug``."""
    result = []
    for step in steps:
        result.append(_views_of(step, preprocessor) if step.kind() == 'TestTimeAug' else
                      _translate(step))  # fmt: skip
    return result


def _views_of(section: Section, preprocessor: Preprocessor) -> ConfigDict:
    section.take('type')
    views = _step('MultiScaleFlipAug', img_ratios=[1.0], flip=False)
    inside = []
    for parts in section.groups('transforms'):
        kinds = {part.kind() for part in parts}
        if kinds <= {'LoadAnnotations', 'PackSegInputs'}:
            continue
        if kinds == {'RandomFlip'}:
            _flip_views(views, parts)
        elif kinds == {'Resize'}:
            inside.append(_view(views, parts))
        elif len(parts) == 1:
            inside.append(_translate(parts[0]))
        else:
            raise parts[0].refusal('type', 'keep one transform, except of Resize and RandomFlip')
    section.close()
    views['transforms'] = [*inside, *preprocessor.test_steps()]
    return views


def _view(views: ConfigDict, choices: Sequence[Section]) -> ConfigDict:
    """Set the scales of the views by one or several resizes, and return their common Resize."""
    resizes = [_translate(choice) for choice in choices]
    keep_ratio = [resize.keep_ratio for resize in resizes]
    if len(set(keep_ratio)) > 1:
        raise choices[-1].refusal('keep_ratio', 'give all scales the same')
    ratios = [resize.ratio_range[0] for resize in resizes if 'ratio_range' in resize]
    scales = [resize.img_scale for resize in resizes if 'img_scale' in resize]
    if ratios and scales:
        raise choices[-1].refusal('type', 'give all of them scale, or all of them scale_factor')
    first = choices[0]
    if scales:
        views.pop('img_ratios')
        first.put(views, 'img_scale', scales[0] if len(scales) == 1 else scales, 'scale')
    else:
        first.put(views, 'img_ratios', ratios, 'scale_factor')
        first.put(views, 'rounds_sizes', True, 'scale_factor')
    result = _step('Resize')
    first.put(result, _KEEP_RATIO, keep_ratio[0], _KEEP_RATIO)
    return result


def _flip_views(views: ConfigDict, choices: Sequence[Section]) -> None:
    flips = {}
    for choice in choices:
        step = _translate(choice)
        flips[step.get('direction', 'horizontal'), step.get('prob')] = choice
    directions = [direction for direction, prob in flips if prob == 1]
    probs = [prob for _, prob in flips]
    if probs.count(0) != 1 or len(probs) != 1 + (1 in probs):  # no view may count twice
        advice = 'give a RandomFlip of prob=0.0, and one of prob=1.0 to add its views'
        raise choices[-1].refusal('prob', advice)
    if directions:
        views['flip'] = True
        views['flip_direction'] = directions[0]


# ------------------------------------------------------------ single transforms


def _step(kind: str, **arguments: Any) -> ConfigDict:
    return ConfigDict(type=kind, **arguments)


def _translate(step: Section) -> ConfigDict:
    """Translate a transform; one that is not known here or there stays as it is."""
    kind = step.kind()
    out = _step(kind)
    step.put(out, 'type', kind)
    if kind in _TRANSFORMS:
        _TRANSFORMS[kind](step, out)
        step.close()
    else:
        step.give_rest(out)
    return out


def _take_pack(step: Section) -> None:
    step.ignore({'meta_keys': 'Collect gathers what is needed'})
    step.close()


def _load_image(step: Section, out: ConfigDict) -> None:
    _take_backend(step)
    step.ignore({'ignore_empty': 'a missing image is an error'})
    step.give_rest(out)


def _load_annotations(step: Section, out: ConfigDict) -> None:
    _take_backend(step)
    if step.take('reduce_zero_label'):
        step.put(out, 'reduce_zero_label', True, 'reduce_zero_label')
    step.give(out, {'imdecode_backend': 'imdecode_backend'})


def _take_backend(step: Section) -> None:
    for key in ('backend_args', 'file_client_args'):
        step.expect(key, *_LOCAL, advice='files are read from disks: copy them to one')


def _resize(step: Section, out: ConfigDict) -> None:
    scale = step.take('scale', hint=_SCALE | None)
    factor = step.take('scale_factor', hint=Positive | NonEmpty[Positive] | None)
    if scale is not None:
        step.put(out, 'img_scale', _pair(scale), 'scale')
    elif factor is not None:
        factors = factor if isinstance(factor, (list, tuple)) else [factor]
        if len(set(factors)) > 1:
            raise step.refusal('scale_factor', 'give one number')
        step.put(out, 'ratio_range', (factors[0], factors[0]), 'scale_factor')
    _take_resizing(step, out)


def _random_resize(step: Section, out: ConfigDict) -> None:
    kind = registered_name(step.take('resize_type', 'Resize', str))
    if kind != 'Resize':
        raise step.refusal('resize_type', "set it to 'Resize'")
    scale, ratios = step.take('scale', hint=Scale | NonEmpty[Scale]), step.take('ratio_range')
    step.put(out, 'img_scale', scale, 'scale')
    if ratios is not None:
        step.put(out, 'ratio_range', ratios, 'ratio_range')
    elif isinstance(scale, list) and not all(w >= h for w, h in scale):
        raise step.refusal('scale', 'write the long edge of each scale first')
    _take_resizing(step, out)
    out['type'] = 'Resize'


def _random_choice_resize(step: Section, out: ConfigDict) -> None:
    kind = registered_name(step.take('resize_type', 'Resize', str))
    scales = step.take('scales', hint=_SCALE | NonEmpty[_SCALE])
    scales = scales if isinstance(scales, list) else [scales]
    if kind == 'ResizeShortestEdge':
        longest = step.take('max_size', hint=Pixels)
        scales = [_short_edge(scale, longest) for scale in scales]
        keep_ratio = True
    elif kind == 'Resize':
        scales, keep_ratio = [_pair(scale) for scale in scales], step.take(_KEEP_RATIO, False, bool)
    else:
        raise step.refusal('resize_type', "set it to 'Resize' or 'ResizeShortestEdge'")
    step.put(out, 'img_scale', scales, 'scales')
    step.put(out, 'multiscale_mode', 'value', 'scales')
    step.put(out, _KEEP_RATIO, keep_ratio, 'scales')
    _take_method(step)
    out['type'] = 'Resize'


def _resize_shortest_edge(step: Section, out: ConfigDict) -> None:
    scale = _short_edge(step.take('scale', hint=_SCALE), step.take('max_size', hint=Pixels))
    step.put(out, 'img_scale', scale, 'scale')
    step.put(out, _KEEP_RATIO, True, 'scale')
    out['type'] = 'Resize'


def _short_edge(scale: Any, longest: int) -> tuple[int, int]:
    """Return the scale (w, h) that has this short edge, and no longer edge than `longest`."""
    short = min(scale) if isinstance(scale, (list, tuple)) else scale
    return max(longest, short), min(longest, short)


def _take_resizing(step: Section, out: ConfigDict) -> None:
    # its default is False there, and True here
    step.put(out, _KEEP_RATIO, step.take(_KEEP_RATIO, False, bool), _KEEP_RATIO)
    _take_method(step)


def _take_method(step: Section) -> None:
    step.expect('backend', 'cv2')
    step.expect('interpolation', 'bilinear')
    step.expect('clip_object_border', True, False)


def _random_crop(step: Section, out: ConfigDict) -> None:
    step.give(out, {'crop_size': 'crop_size'}, _pair)
    step.give_rest(out)


def _random_flip(step: Section, out: ConfigDict) -> None:
    for key, hint in {'prob': float, 'direction': str}.items():
        value = step.take(key, hint=hint | Sequence | None)
        if isinstance(value, (list, tuple)) or value == 'diagonal':
            raise step.refusal(key, 'write a RandomFlip for each direction')
        if value is not None:
            step.put(out, key, value, key)
    swaps = step.take('swap_seg_labels')
    if swaps is not None and out.get('direction', 'horizontal') != 'horizontal':
        raise step.refusal('swap_seg_labels', 'labels are swapped by horizontal flips only')
    if swaps is not None:
        step.put(out, 'swap_seg_labels', swaps, 'swap_seg_labels')


def _pad_step(step: Section, out: ConfigDict) -> None:
    step.expect('pad_to_square', False, advice='give size or size_divisor')
    step.expect('padding_mode', 'constant')
    # (w, h) there
    if (size := step.take('size', hint=_SCALE | None)) is not None:
        step.put(out, 'size', _pair(size)[::-1], 'size')
    step.give(out, {'size_divisor': 'size_divisor'})
    fill = step.take('pad_val', 0)
    values = fill if isinstance(fill, Mapping) else {'img': fill}
    step.put(out, 'pad_val', values.get('img', 0), 'pad_val')
    step.put(out, 'seg_pad_val', values.get('seg', 255), 'pad_val')


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


_TRANSFORMS: dict[str, Callable[[Section, ConfigDict], None]] = {
    'LoadImageFromFile': _load_image,
    'LoadAnnotations': _load_annotations,
    'Resize': _resize,
    'RandomResize': _random_resize,
    'RandomChoiceResize': _random_choice_resize,
    'ResizeShortestEdge': _resize_shortest_edge,
    'RandomCrop': _random_crop,
    'RandomFlip': _random_flip,
    'Pad': _pad_step,
}
