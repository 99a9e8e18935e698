"""Names of vision transformers in other projects: of ViT, DeiT, MAE and BEiT."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from msseg.convert import LeftAside, Mapped, Rules, has_name, in_backbone, register_names
from msseg.convert.rules import Fate

_CLASSIFIER = LeftAside('part of the classifier')
_PRETRAINING = LeftAside('part of the decoder or of the targets of the pretraining')
_INDEX = LeftAside('it follows from the size of the images')
_FINAL_NORM = Mapped('ln1.', unless_needed='the norm before the classifier')
_BLOCK = r'blocks\.(\d+)\.'

# timm's names, which the authors of DeiT, MAE and BEiT share.
_COMMON: dict[str, Fate] = {
    r'(?:head|head_dist|fc_norm|pre_logits|lm_head)\.': _CLASSIFIER,
    r'dist_token$': _CLASSIFIER,
    r'(?:mask_token$|decoder_)': _PRETRAINING,
    r'(cls_token|pos_embed)$': r'\1',
    r'patch_embed\.proj\.': 'patch_embed.projection.',
    r'patch_embed\.norm\.': 'patch_embed.norm.',
    r'norm\.': _FINAL_NORM,
    _BLOCK + r'norm([12])\.': r'layers.\1.ln\2.',
    _BLOCK + r'mlp\.fc1\.': r'layers.\1.ffn.layers.0.0.',
    _BLOCK + r'mlp\.fc2\.': r'layers.\1.ffn.layers.1.',
}
_VIT: dict[str, Fate] = {
    **_COMMON,
    _BLOCK + r'attn\.qkv\.': r'layers.\1.attn.attn.in_proj.',
    _BLOCK + r'attn\.proj\.': r'layers.\1.attn.attn.out_proj.',
}
_BEIT: dict[str, Fate] = {
    **_COMMON,
    _BLOCK + r'(gamma_[12])$': r'layers.\1.\2',
    _BLOCK + r'attn\.(relative_position_bias_table|[qv]_bias|qkv\.|proj\.)': r'layers.\1.attn.\2',
    _BLOCK + r'attn\.(?:relative_position_index|k_bias)$': _INDEX,
}
# MMClassification's ViT, DeiT and MAE: MMSegmentation's names but for the attention.
_MMCLS: dict[str, Fate] = {
    r'(?:head\.|dist_token$)': _CLASSIFIER,
    r'layers\.(\d+)\.attn\.qkv\.': r'layers.\1.attn.attn.in_proj.',
    r'layers\.(\d+)\.attn\.proj\.': r'layers.\1.attn.attn.out_proj.',
    r'ln1\.': _FINAL_NORM,
    r'(?=(?:layers|patch_embed)\.|cls_token$|pos_embed$)': '',
}


def heads_in_rows(kernel: np.ndarray) -> np.ndarray:
    """The heads' projections as rows of one matrix.

    Examples:
        >>> heads_in_rows(np.zeros((6, 2, 4))).shape, heads_in_rows(np.zeros((2, 4))).shape
        ((8, 6), (8,))
    """
    return kernel.reshape(-1) if kernel.ndim == 2 else kernel.reshape(len(kernel), -1).T


def heads_in_columns(kernel: np.ndarray) -> np.ndarray:
    """The heads' results as columns of one matrix."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def transposed(kernel: np.ndarray) -> np.ndarray:
    """A matrix or a convolution with the inputs last, in PyTorch's order of axes."""
    return kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)


_JAX_BLOCK = r'Transformer/encoderblock_(\d+)/'
_JAX_ATTENTION = _JAX_BLOCK + 'MultiHeadDotProductAttention_1/'
# The authors' ViT, trained with JAX: linear layers have their inputs first, heads their own axis.
_JAX: dict[str, Fate] = {
    r'(?:head|pre_logits)/': _CLASSIFIER,
    r'cls$': 'cls_token',
    r'Transformer/posembed_input/pos_embedding$': 'pos_embed',
    r'embedding/kernel$': Mapped('patch_embed.projection.weight', transposed),
    r'embedding/bias$': 'patch_embed.projection.bias',
    r'Transformer/encoder_norm/scale$': replace(_FINAL_NORM, target='ln1.weight'),
    r'Transformer/encoder_norm/bias$': replace(_FINAL_NORM, target='ln1.bias'),
    _JAX_ATTENTION + 'out/kernel$': Mapped(
        r'layers.\1.attn.attn.out_proj.weight', heads_in_columns
    ),
    _JAX_ATTENTION + 'out/bias$': r'layers.\1.attn.attn.out_proj.bias',
}
for _part, _name in enumerate(('query', 'key', 'value')):
    for _old, _new in (('kernel', 'weight'), ('bias', 'bias')):
        _JAX[f'{_JAX_ATTENTION}{_name}/{_old}$'] = Mapped(
            rf'layers.\1.attn.attn.in_proj.{_new}', heads_in_rows, part=(_part, 3)
        )
for _old, _new in (('LayerNorm_0', 'ln1'), ('LayerNorm_2', 'ln2')):
    _JAX[f'{_JAX_BLOCK}{_old}/scale$'] = rf'layers.\1.{_new}.weight'
    _JAX[f'{_JAX_BLOCK}{_old}/bias$'] = rf'layers.\1.{_new}.bias'
for _old, _new in (('Dense_0', 'layers.0.0'), ('Dense_1', 'layers.1')):
    _JAX[f'{_JAX_BLOCK}MlpBlock_3/{_old}/kernel$'] = Mapped(
        rf'layers.\1.ffn.{_new}.weight', transposed
    )
    _JAX[f'{_JAX_BLOCK}MlpBlock_3/{_old}/bias$'] = rf'layers.\1.ffn.{_new}.bias'


def _is_vit(names: Collection[str]) -> int:
    has_attention = has_name(names, 'blocks.0.attn.qkv.weight')
    return 2 if has_attention and not _is_beit(names) else 0


def _is_mae(names: Collection[str]) -> int:
    """Return how surely a file with ViT's names is that of an MAE: its pretraining shows it."""
    is_pretraining = any(name.startswith('decoder_blocks.') for name in names)
    return (3 if is_pretraining else 1) if _is_vit(names) else 0


def _is_beit(names: Collection[str]) -> bool:
    return has_name(names, 'blocks.0.gamma_1', 'blocks.0.attn.qkv.weight')


def _is_mmcls(names: Collection[str]) -> bool:
    """Return whether they are MMClassification's, not those of MMSegmentation's BEiT or MAE."""
    has_layers = has_name(names, 'layers.0.attn.qkv.weight', 'layers.0.ln1.weight')
    return has_layers and not has_name(names, 'layers.0.gamma_1')


register_names('vit', _is_vit)(Rules(in_backbone(_VIT)))
register_names('mae', _is_mae)(Rules(in_backbone(_BEIT)))
register_names('beit', _is_beit)(Rules(in_backbone(_BEIT)))
register_names('vit_jax', lambda names: 'Transformer/encoder_norm/scale' in names)(
    Rules(in_backbone(_JAX))
)
register_names('mmcls_vit', _is_mmcls)(Rules(in_backbone(_MMCLS)))
