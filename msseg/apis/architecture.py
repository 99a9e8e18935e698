"""Check of a config's model against the description that comes with foreign weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from msseg.convert import detect_style, expected_settings, is_described
from msseg.convert.names import strip_wrappers
from msseg.models import BACKBONES, HEADS
from msseg.registry import Registry
from msseg.runner.checkpoint import Checkpoint
from msseg.utils.arguments import argument_default
from msseg.utils.errors import UserValueError
from msseg.utils.logging import get_logger

_REGISTRIES = {'backbone': BACKBONES, 'decode_head': HEADS, 'auxiliary_head': HEADS}
_DECISIVE = ('.num_heads', '.act_cfg')  # no training makes sense of the weights with others
_DEFAULTS = {'eps': 1e-5}  # of the norms that a norm_cfg names


def check_architecture(
    checkpoint: Checkpoint, model: Mapping[str, Any], prefix: str = '', strict: bool = True
) -> None:
    """Compare a model's config with the ``config.json`` next to foreign weights.

    Shapes do not show numbers of heads, steps of convolutions and eps of norms: a wrong one gives
    wrong scores without an error.

    Args:
        checkpoint: The weights.
        model: The config's ``model``.
        prefix: Compare only the part of the model whose parameters' names begin with this.
        strict: Whether every difference is an error. Otherwise, for training, only one that makes
            the weights meaningless is; the log warns of others, and a part of another type, which
            does not take the weights, is not compared.

    Raises:
        ValueError: A setting differs.
    """
    style = detect_style(strip_wrappers(checkpoint.weights).values())
    if not checkpoint.is_foreign or style is None or not is_described(style):
        return
    if not checkpoint.model_config:
        get_logger().warning(
            'no config.json is next to %s: class names are unknown, and settings that shapes do '
            'not show, such as num_heads, are not compared',
            checkpoint.path,
        )
        return
    try:
        expected = expected_settings(style, checkpoint.model_config)
    except UserValueError as error:
        error.file = str(checkpoint.path.with_name('config.json'))
        raise
    differences: dict[str, str] = {}
    for part, settings in expected.items():
        if part.startswith(prefix.rstrip('.')):
            differences |= _differences(part, settings, model.get(part), strict)
    if not differences:
        return
    text = (
        f'checkpoint {str(checkpoint.path)!r} does not fit the config: the config.json next to it '
        f'asks for {", ".join(differences.values())}'
    )
    if strict or any(name.endswith(_DECISIVE) for name in differences):
        raise UserValueError(text)
    get_logger().warning('%s; training starts from the weights that fit', text)


def _differences(part: str, expected: Mapping[str, Any], node: Any, strict: bool) -> dict[str, str]:
    """Return the settings of a part of the model that differ: name to a text with both values."""
    node = node[0] if isinstance(node, Sequence) and len(node) == 1 else node
    if not isinstance(node, Mapping):
        return {}  # the config has no such head, or several
    registry = _REGISTRIES[part]
    has_type = _is_of_type(node.get('type'), expected['type'], registry)
    if not has_type:
        text = f'model.{part}.type = {expected["type"]!r}, not {node.get("type")!r}'
        return {f'model.{part}.type': text} if strict else {}
    cls = registry.get(expected['type'])
    found = {}
    for key, wanted in expected.items():
        got = node.get(key, argument_default(cls, key))
        if key == 'arch' and isinstance(got, str):  # a name for depths and channels
            got = getattr(cls, 'arch_settings', {}).get(got, got)
        if key != 'type' and not _agree(wanted, got):
            name = f'model.{part}.{key}'
            found[name] = f'{name} = {_plain(wanted)!r}, not {_plain(got)!r}'
    return found


def _is_of_type(name: Any, expected: str, registry: Registry) -> bool:
    cls = registry.get(name) if isinstance(name, str) else name
    return inspect.isclass(cls) and issubclass(cls, registry.get(expected))


def _agree(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(got, Mapping) and all(
            _agree(value, got.get(key, _DEFAULTS.get(key))) for key, value in wanted.items()
        )
    return _plain(wanted) == _plain(got)


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples, and dicts for other mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
