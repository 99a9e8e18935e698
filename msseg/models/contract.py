"""Checks of what a segmentor needs of its parts, made when it is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, get_args

from mindspore import nn

from msseg.models.output_spec import ScoreKind
from msseg.registry import add_config_path, config_path
from msseg.utils.arguments import fits
from msseg.utils.errors import UserValueError, check_one_of

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
OF_HEADS = ('subdivision_steps', 'subdivision_num_points', 'scale_factor')
OF_OUTPUT = ('align_corners', 'num_classes', 'out_channels', 'threshold')


class InputMismatch(NamedTuple):
    """The argument of a head that does not fit the feature maps, and a description."""

    argument: str
    text: str


@contextmanager
def named_by(cfg: Mapping, fallback: str = '') -> Iterator[None]:
    """Lead messages of errors inside with the config path of a node, or else with `fallback`."""
    try:
        yield
    except (KeyError, OSError, TypeError, ValueError) as error:
        add_config_path(error, config_path(cfg) or fallback)
        raise


def check_head(head: nn.Cell) -> None:
    """Raise ValueError when a head's ``score_kind`` is unknown, or that of a loss is another."""
    name, kind = type(head).__name__, getattr(head, 'score_kind', 'logits')
    check_one_of('score_kind', kind, get_args(ScoreKind), who=name)
    losses = getattr(head, 'loss_decode', ())
    for loss in losses if isinstance(losses, (list, tuple, nn.CellList)) else [losses]:
        expected = getattr(loss, 'score_kind', 'logits')
        if expected != kind:
            raise ValueError(
                f'{name} gives {kind}, but {type(loss).__name__} expects {expected}: choose '
                f'another loss in loss_decode, or set score_kind = {kind!r} in the loss'
            )


def check_members(head: nn.Cell, is_last: bool) -> None:
    """Raise TypeError when a head lacks what a segmentor reads, of the last decode head more."""
    names = ('losses', 'loss_names') + (OF_OUTPUT if is_last else ())
    missing = [name for name in names if not hasattr(head, name)]
    if missing:
        raise TypeError(
            f'{type(head).__name__} has no {", ".join(missing)}: derive it from BaseDecodeHead, or '
            'write them'
        )


def configure_heads(
    heads: Sequence[nn.Cell], train_cfg: Mapping | None, test_cfg: Mapping | None
) -> None:
    """Give heads their part of the model's settings.

    A head that has settings there has ``configure(train_cfg, test_cfg)`` and names them in
    ``test_cfg_keys``.

    Raises:
        ValueError: ``test_cfg`` has a setting of heads that no head has.
    """
    read = {key for head in heads for key in getattr(head, 'test_cfg_keys', ())}
    for key in OF_HEADS:
        if (test_cfg or {}).get(key) is not None and key not in read:
            names = ', '.join(sorted({type(head).__name__ for head in heads}))
            raise ValueError(
                f'model.test_cfg: {key} is {test_cfg[key]!r}, but no head refines points (heads: '
                f'{names}); remove it, or use PointHead'
            )
    for head in heads:
        if hasattr(head, 'configure'):
            head.configure(train_cfg or {}, test_cfg or {})


def check_head_inputs(head: nn.Cell, feature_channels: Any) -> None:
    """Raise ValueError when a head's ``in_index`` or ``in_channels``, if any, does not fit.

    A head that reads more maps has ``further_inputs``: by the argument's name the map's index.
    """
    channels = getattr(head, 'input_channels', getattr(head, 'in_channels', None))
    in_index = getattr(head, 'in_index', None)
    for mismatch in find_input_mismatches(in_index, channels, feature_channels):
        raise ValueError(mismatch.text)
    for argument, index in getattr(head, 'further_inputs', {}).items():
        value = getattr(head, argument)
        for mismatch in find_input_mismatches(index, value, feature_channels, argument):
            raise ValueError(mismatch.text)


def check_class_tokens(reader: nn.Cell, source: nn.Cell) -> None:
    """Raise ValueError unless a neck or head reads what the part before it gives.

    A backbone that gives tuples of a map and its class token has ``output_cls_token``; a head that
    reads such tuples has ``reads_class_tokens``.
    """
    given = getattr(source, 'output_cls_token', False)
    expected = getattr(reader, 'reads_class_tokens', False)
    if given != expected:
        reads = 'the class tokens as well' if expected else 'maps without class tokens'
        raise UserValueError(
            key='output_cls_token',
            got=given,
            expected=f'{expected}, as {type(reader).__name__} reads {reads}',
            who=type(source).__name__,
        )


def check_gives_maps(backbone: nn.Cell) -> None:
    """Raise ValueError when a backbone gives no maps: it has ``no_maps_reason``, a sentence."""
    reason = getattr(backbone, 'no_maps_reason', '')
    if reason:
        raise ValueError(f'{type(backbone).__name__}: heads need feature maps, but {reason}')


def check_neck_inputs(neck: nn.Cell | None, feature_channels: Any) -> None:
    """Raise ValueError when a neck's ``in_channels``, if it is a list, are not the backbone's."""
    given = getattr(neck, 'in_channels', None)
    are_lists = all(isinstance(each, (list, tuple)) for each in (given, feature_channels))
    if are_lists and list(given) != list(feature_channels):
        raise ValueError(
            f'{type(neck).__name__}: in_channels is {list(given)}, but the backbone gives feature '
            f'maps of {list(feature_channels)} channels'
        )


def find_input_mismatches(
    in_index: Any, in_channels: Any, feature_channels: Any, name: str = 'in_channels'
) -> Iterator[InputMismatch]:
    """Yield the arguments of a head that do not fit the feature maps.

    Args:
        in_index: Index of a feature map, or a list. Other values are for the head to refuse.
        in_channels: Its channels, or a list of the same length.
        feature_channels: ``out_channels`` of the backbone or neck: one number for each map. Nothing
            is known of the maps, and nothing checked, if it is no list.
        name: The argument that `in_channels` is.
    """
    values = (in_index, in_channels)
    if all(fits(value, int) for value in values):
        pairs = [values]
    elif all(fits(value, Sequence[int]) for value in values) and len(in_index) == len(in_channels):
        pairs = list(zip(*values, strict=True))
    else:
        return
    count = len(feature_channels) if isinstance(feature_channels, (list, tuple)) else 0
    for index, given in pairs if count else ():
        if not -count <= index < count:
            yield InputMismatch(
                'in_index',
                f'in_index {index!r} is out of range, there are {count} feature maps of '
                f'{list(feature_channels)} channels (indices 0 to {count - 1})',
            )
        elif feature_channels[index] != given:
            yield InputMismatch(
                name,
                f'{name} is {given!r} for in_index {index}, but that feature map '
                f'has {feature_channels[index]} channels (all: {list(feature_channels)})',
            )


def check_image_size(divisor: int, size: Sequence[int], who: str) -> None:
    """Raise ValueError unless a size (h, w) is a multiple of `divisor`."""
    if any(length % divisor for length in size):
        raise UserValueError(
            key='the size of the image (h, w)',
            got=tuple(size),
            expected=f'multiples of {divisor}',
            advice=f'put ResizeToMultiple(size_divisor={divisor}) after Resize, or choose another '
            'size of RandomCrop, Pad or the windows (crop_size of test_cfg)',
            who=who,
        )


def smallest_image(head: nn.Cell, out_strides: Sequence[int] | None) -> int:
    """Return the smallest height and width of images that a head takes.

    Args:
        head: Its ``min_map_sizes``, if any, gives by the feature map's index the smallest size.
        out_strides: The backbone's ``out_strides``: of each feature map, how many pixels of the
            image there are to one of its own, sizes rounded up. None: nothing is known.
    """
    sizes = getattr(head, 'min_map_sizes', {}) if out_strides is not None else {}
    return max([1, *((size - 1) * out_strides[index] + 1 for index, size in sizes.items())])


def check_smallest_image(smallest: int, size: Sequence[int], who: str) -> None:
    """Raise ValueError unless both sides of a size (h, w) are at least `smallest`."""
    if min(size) < smallest:
        raise UserValueError(
            key='the size of the image (h, w)',
            got=tuple(size),
            expected=f'at least ({smallest}, {smallest})',
            advice='choose a larger size of Resize, RandomCrop, Pad or the windows (crop_size of '
            'test_cfg)',
            who=who,
        )


def check_own_size(backbone: nn.Cell, size: Sequence[int]) -> None:
    """Raise ValueError unless a backbone that is built for one size takes images of a size (h, w).

    Such a backbone has ``image_sizes``: the smallest and the largest height, and those widths.
    """
    ranges = getattr(backbone, 'image_sizes', ())
    if all(low <= length <= high for length, (low, high) in zip(size, ranges, strict=False)):
        return
    h, w = (low for low, _ in ranges)
    raise UserValueError(
        key='the size of the image (h, w)',
        got=tuple(size),
        expected=f'({h}, {w}), for which the network is built',
        advice='set img_size of the backbone, or crop, pad or resize to its size, and test in '
        f"windows: test_cfg=dict(mode='slide', crop_size=({h}, {w}), stride=...)",
        who=type(backbone).__name__,
    )


def takes_any_size(model: nn.Cell) -> bool:
    """Whether one graph runs on images of all sizes.

    It does not if a part has ``fixed_size_reason`` (see `check_takes_any_size`), but for those with
    ``runs_at_any_size``, of which only exported files have one size.
    """
    return not any(
        getattr(cell, 'fixed_size_reason', '') and not getattr(cell, 'runs_at_any_size', False)
        for _, cell in model.cells_and_names()
    )


def check_takes_any_size(model: nn.Cell) -> None:
    """Raise ValueError when the graph of a part depends on the size of the image.

    Such a part, a table of positions for instance, has ``fixed_size_reason``: a clause that follows
    "because".
    """
    for name, cell in model.cells_and_names():
        reason = getattr(cell, 'fixed_size_reason', '')
        if reason:
            raise UserValueError(
                f'the network takes images of one size only, because {reason} ({name})',
                key='--dynamic',
                got=True,
                advice='export one size, without --dynamic',
                who=type(cell).__name__,
            )


def check_inner_backbone(
    backbone: nn.Cell, in_channels: int | None, maps: Sequence[int | None], who: str
) -> None:
    """Raise ValueError unless a backbone inside of another one fits it.

    Args:
        backbone: The inner one. Its maps are not checked if it has no list ``out_channels``.
        in_channels: Channels of its images; None for any.
        maps: Channels of its maps; None for any.
        who: The class of the outer one.
    """
    channels = image_channels(backbone)
    if in_channels not in (None, channels):
        raise ValueError(
            f'{who}: in_channels is {in_channels}, but backbone_cfg has {channels}: give both the '
            "channels of the data's images"
        )
    given = getattr(backbone, 'out_channels', None)
    if not isinstance(given, (list, tuple)):
        return
    fits_all = len(given) == len(maps) and all(
        wanted in (None, width) for wanted, width in zip(maps, given, strict=True)
    )
    if not fits_all:
        wanted = ', '.join('any' if width is None else str(width) for width in maps)
        raise ValueError(
            f'{who}: the maps of backbone_cfg have {list(given)} channels, expected [{wanted}]'
        )


def image_channels(backbone: nn.Cell) -> int:
    """Return a backbone's ``in_channels``, or that of its first convolution."""
    convs = (cell for _, cell in backbone.cells_and_names() if isinstance(cell, _CONVS))
    for source in (backbone, next(convs, None)):
        channels = getattr(source, 'in_channels', None)
        if isinstance(channels, int):
            return channels
    raise ValueError(
        f'{type(backbone).__name__} does not tell how many channels its images have: '
        'set self.in_channels in its __init__'
    )
