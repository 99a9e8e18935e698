"""Names of Swin Transformers in other projects: the authors' and timm's."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from msseg.convert import LeftAside, Mapped, Rules, has_name, in_backbone, register_names
from msseg.convert.rules import Fate

_MAX_STAGES = 16
_BLOCK = r'layers\.(\d+)\.blocks\.(\d+)\.'
_TO = r'stages.\1.blocks.\2.'
_FIRST_MERGING = 'layers.0.downsample.reduction.weight'


def in_unfolds_order(array: np.ndarray) -> np.ndarray:
    """The merged patches' channels in the order of PyTorch's unfold.

    The authors concatenate the four patches of a square down its columns. Unfolding goes through
    each channel's square by rows.

    Args:
        array: (…, 4 c), the weights of the projection or of the norm before it.

    Examples:
        >>> in_unfolds_order(np.array([0, 1, 10, 11, 20, 21, 30, 31]))
        array([ 0, 20, 10, 30,  1, 21, 11, 31])
    """
    channels = array.shape[-1]
    if channels % 4:
        raise ValueError(f'{channels} channels, expected those of four patches')
    patches = array.reshape(*array.shape[:-1], 4, channels // 4)[..., [0, 2, 1, 3], :]
    return np.ascontiguousarray(patches.swapaxes(-1, -2)).reshape(array.shape)


# timm and the authors name everything alike but for the merging of patches.
_COMMON: dict[str, Fate] = {
    r'head\.': LeftAside('part of the classifier'),
    r'norm\.': LeftAside('the norm before the classifier'),
    r'norm(\d+)\.': r'norm\1.',
    r'patch_embed\.proj\.': 'patch_embed.projection.',
    r'patch_embed\.norm\.': 'patch_embed.norm.',
    r'absolute_pos_embed$': 'absolute_pos_embed',
    _BLOCK + r'attn\.relative_position_index$': LeftAside('it follows from the size of windows'),
    _BLOCK + r'attn_mask$': LeftAside('it follows from the size of the image'),
    _BLOCK + r'attn\.': _TO + 'attn.w_msa.',
    _BLOCK + r'mlp\.fc1\.': _TO + 'ffn.layers.0.0.',
    _BLOCK + r'mlp\.fc2\.': _TO + 'ffn.layers.1.',
    _BLOCK + r'norm([12])\.': _TO + r'norm\3.',
}
_AUTHORS: dict[str, Fate] = {
    **_COMMON,
    r'layers\.(\d+)\.downsample\.': Mapped(r'stages.\1.downsample.', in_unfolds_order),
}
# Since 0.9, timm merges patches at the beginning of a stage, not at the end of the one before.
_TIMM: dict[str, Fate] = {
    **_COMMON,
    **{
        rf'layers\.{i}\.downsample\.': Mapped(f'stages.{i - 1}.downsample.', in_unfolds_order)
        for i in range(1, _MAX_STAGES)
    },
}


def _is_swin(names: Collection[str]) -> bool:
    return has_name(names, 'layers.0.blocks.0.attn.relative_position_bias_table')


def _is_of_authors(names: Collection[str]) -> int:
    return (2 if has_name(names, _FIRST_MERGING) else 1) if _is_swin(names) else 0


def _is_of_timm(names: Collection[str]) -> bool:
    return _is_swin(names) and _is_of_authors(names) < 2


register_names('swin', _is_of_authors)(Rules(in_backbone(_AUTHORS)))
register_names('timm_swin', _is_of_timm)(Rules(in_backbone(_TIMM)))
