"""Names of the pyramids of transformers in other projects: of SegFormer's MiT and of Twins."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from msseg.convert import LeftAside, Mapped, Rules, has_name, in_backbone, pixelwise, register_names
from msseg.convert.rules import Fate

_CLASSIFIER = LeftAside('part of the classifier')
_NUM_STAGES = 4


def maps_in_order(weight: np.ndarray) -> np.ndarray:
    """The concatenated maps in the order of the stages, not reversed.

    Args:
        weight: (c, stages * c, 1, 1), of the convolution that fuses the maps of all stages.

    Examples:
        >>> maps_in_order(np.arange(3).reshape(1, 3, 1, 1)).ravel()
        array([2, 1, 0])
    """
    channels, width = weight.shape[:2]
    if width % channels:
        raise ValueError(f'{width} channels, expected a multiple of {channels}')
    maps = weight.reshape(channels, width // channels, channels, *weight.shape[2:])
    return np.ascontiguousarray(maps[:, ::-1]).reshape(weight.shape)


def _of_mit(stage: int) -> dict[str, Fate]:
    """Return the rules for a stage, from 1, of the authors' MiT."""
    block, to = rf'block{stage}\.(\d+)\.', rf'layers.{stage - 1}.1.\1.'
    return {
        rf'patch_embed{stage}\.proj\.': f'layers.{stage - 1}.0.projection.',
        rf'patch_embed{stage}\.norm\.': f'layers.{stage - 1}.0.norm.',
        rf'norm{stage}\.': f'layers.{stage - 1}.2.',
        block + r'norm([12])\.': to + r'norm\2.',
        block + r'attn\.q\.': Mapped(to + 'attn.attn.in_proj.', part=(0, 2)),
        block + r'attn\.kv\.': Mapped(to + 'attn.attn.in_proj.', part=(1, 2)),
        block + r'attn\.proj\.': to + 'attn.attn.out_proj.',
        block + r'attn\.(sr|norm)\.': to + r'attn.\2.',
        block + r'mlp\.dwconv\.dwconv\.': to + 'ffn.layers.1.',
        **pixelwise(block + r'mlp\.fc1\.', to + 'ffn.layers.0.'),
        **pixelwise(block + r'mlp\.fc2\.', to + 'ffn.layers.4.'),
    }


_STAGES = range(1, _NUM_STAGES + 1)
_MIT: dict[str, Fate] = {r'head\.': _CLASSIFIER}
for _stage in _STAGES:
    _MIT |= _of_mit(_stage)
# The head of the whole models that SegFormer's authors published.
_SEGFORMER_HEAD: dict[str, Fate] = {
    r'decode_head\.linear_fuse\.conv\.': Mapped('decode_head.fusion_conv.conv.', maps_in_order),
    r'decode_head\.linear_fuse\.bn\.': 'decode_head.fusion_conv.bn.',
    r'decode_head\.linear_pred\.': 'decode_head.conv_seg.',
    r'decode_head\.conv_seg\.': LeftAside('linear_pred classifies in its place'),
}
for _stage in _STAGES:
    _SEGFORMER_HEAD |= pixelwise(
        rf'decode_head\.linear_c{_stage}\.proj\.', f'decode_head.convs.{_stage - 1}.conv.'
    )


def _twins(has_windows: bool) -> dict[str, Fate]:
    """Return the rules for Twins; those of SVT have windows in every second layer."""
    block = r'(?:blocks|stages)\.(\d+)\.(\d+)\.'  # MMClassification calls them stages
    windowed = r'(?:blocks|stages)\.(\d+)\.(\d*[02468])\.'
    to = r'layers.\1.\2.'
    of_windows: dict[str, Fate] = {windowed + r'attn\.(qkv|proj)\.': to + r'attn.\3.'}
    return {
        r'head\.': _CLASSIFIER,
        r'norm\.': LeftAside('the norm before the classifier'),
        r'norm_after_stage(\d+)\.': Mapped(
            r'norm_list.\1.', unless_needed='the norm before the classifier'
        ),
        r'norm_list\.': 'norm_list.',
        r'patch_embeds\.(\d+)\.proj(?:ection)?\.': r'patch_embeds.\1.projection.',
        r'patch_embeds\.(\d+)\.norm\.': r'patch_embeds.\1.norm.',
        r'(?:pos_block|position_encodings)\.(\d+)\.proj\.(?:0\.)?': r'position_encodings.\1.proj.',
        **(of_windows if has_windows else {}),
        block + r'norm([12])\.': to + r'norm\3.',
        block + r'attn\.q\.': Mapped(to + 'attn.attn.in_proj.', part=(0, 2)),
        block + r'attn\.kv\.': Mapped(to + 'attn.attn.in_proj.', part=(1, 2)),
        block + r'attn\.proj\.': to + 'attn.attn.out_proj.',
        block + r'attn\.(sr|norm)\.': to + r'attn.\3.',
        block + r'(?:mlp\.fc1|ffn\.layers\.0\.0)\.': to + 'ffn.layers.0.0.',
        block + r'(?:mlp\.fc2|ffn\.layers\.1)\.': to + 'ffn.layers.1.',
    }


def _is_mit(names: Collection[str]) -> bool:
    return has_name(names, 'block1.0.mlp.dwconv.dwconv.weight')


def _has_windows(names: Collection[str]) -> bool | None:
    """Return whether a file is that of an SVT; None where it is of no Twins."""
    authors, mmcls = 'pos_block.0.proj.0.weight', 'position_encodings.0.proj.weight'
    for first, block in ((authors, 'blocks.0.0'), (mmcls, 'stages.0.0')):
        if has_name(names, first, f'{block}.attn.qkv.weight'):
            return True
        if has_name(names, first, f'{block}.attn.q.weight'):
            return False
    return None


register_names('mit', _is_mit)(Rules(_SEGFORMER_HEAD | in_backbone(_MIT)))
register_names('twins_pcpvt', lambda names: _has_windows(names) is False)(
    Rules(in_backbone(_twins(False)))
)
register_names('twins_svt', lambda names: _has_windows(names) is True)(
    Rules(in_backbone(_twins(True)))
)
