"""How deep in a backbone a parameter is, by its name: for learning rates that fall with the depth.

A backbone whose rates can fall has ``layer_depth(name, num_layers)``, ``stage_depth(name)`` or
both. They take a parameter's name in the backbone and return a number from 0, for what the image
passes first, or None for what follows the last layer.
"""

from __future__ import annotations

_TOKENS = ('cls_token', 'mask_token', 'pos_embed')


def layer_depth_of_vit(name: str, num_layers: int) -> int | None:
    """Return 0 for patches, tokens and positions, and numbers from 1 for the layers.

    Source: MMSegmentation 0.30 ``get_layer_id_for_vit``.

    Examples:
        >>> names = ('cls_token', 'layers.11.ln1.beta', 'ln1.beta')
        >>> [layer_depth_of_vit(name, 12) for name in names]
        [0, 12, None]
    """
    if name in _TOKENS or name.startswith('patch_embed.'):
        return 0
    return int(name.split('.')[1]) + 1 if name.startswith('layers.') else None


def layer_depth_of_convnext(name: str, num_layers: int) -> int | None:
    """Return 0 for the stem, 1 and 2 for two stages, 3 and more for three layers each of the third.

    The fourth stage, and what follows it, has `num_layers`.

    Source: MMSegmentation 0.30 ``get_layer_id_for_convnext``.

    Examples:
        >>> [layer_depth_of_convnext(f'stages.{stage}.7.gamma', 6) for stage in range(4)]
        [1, 2, 5, 6]
    """
    if name in _TOKENS:
        return 0
    part, *numbers = name.split('.')
    if part == 'downsample_layers':
        return (0, 2, 3, num_layers)[min(int(numbers[0]), 3)]
    if part == 'stages':
        return (1, 2, 3 + int(numbers[1]) // 3, num_layers)[min(int(numbers[0]), 3)]
    return None


def stage_depth_of_convnext(name: str) -> int | None:
    """Return 0 for the stem and the layers between stages, and numbers from 1 for the stages.

    Source: MMSegmentation 0.30 ``get_stage_id_for_convnext``.

    Examples:
        >>> names = ('downsample_layers.3.1.bias', 'stages.3.0.gamma', 'norm3.beta')
        >>> [stage_depth_of_convnext(name) for name in names]
        [0, 4, None]
    """
    if name in _TOKENS or name.startswith('downsample_layers.'):
        return 0
    return int(name.split('.')[1]) + 1 if name.startswith('stages.') else None
