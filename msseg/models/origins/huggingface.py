"""Names of Hugging Face's models: SegFormer, and UPerNet on Swin Transformer and ConvNeXt.

Each has two layouts: that of files since the first versions, and that of models in memory since 5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msseg.convert import LeftAside, Mapped, Rules, pixelwise, register_names
from msseg.convert.rules import Fate
from msseg.models.origins.pyramid_transformers import maps_in_order
from msseg.models.origins.swin import in_unfolds_order
from msseg.utils.errors import UserValueError

_CLASSIFIER = LeftAside('part of the classifier')
_FINAL_NORM = LeftAside('the norm before the classifier')
_ACTIVATIONS = {'gelu': 'GELU', 'relu': 'ReLU'}
_EPS = 1e-5  # of PyTorch's layer norm, which the models have whatever layer_norm_eps says


def _attention(block: str, to: str, joined: str, out: str) -> dict[str, Fate]:
    """Return the rules for queries, keys and values in three matrices, and the projection."""
    rules: dict[str, Fate] = {
        rf'{block}attention\.(?:self\.{name}|{name[0]}_proj)\.': Mapped(to + joined, part=(i, 3))
        for i, name in enumerate(('query', 'key', 'value'))
    }
    return rules | {block + r'attention\.(?:output\.dense|o_proj)\.': to + out}


_MIT_BLOCK = r'segformer\.(?:encoder\.block|stages)\.(\d+)\.(?:blocks\.)?(\d+)\.'
_MIT_STAGE = r'segformer\.(?:encoder|stages)\.'
_MIT_TO = r'backbone.layers.\1.1.\2.'
_SEGFORMER: dict[str, Fate] = {
    r'segformer\.encoder\.patch_embeddings\.(\d+)\.proj\.': r'backbone.layers.\1.0.projection.',
    r'segformer\.encoder\.patch_embeddings\.(\d+)\.layer_norm\.': r'backbone.layers.\1.0.norm.',
    r'segformer\.stages\.(\d+)\.patch_embeddings\.proj\.': r'backbone.layers.\1.0.projection.',
    r'segformer\.stages\.(\d+)\.patch_embeddings\.layer_norm\.': r'backbone.layers.\1.0.norm.',
    r'segformer\.encoder\.layer_norm\.(\d+)\.': r'backbone.layers.\1.2.',
    r'segformer\.stages\.(\d+)\.layer_norm\.': r'backbone.layers.\1.2.',
    _MIT_BLOCK + r'(?:layer_norm_1|layernorm_before)\.': _MIT_TO + 'norm1.',
    _MIT_BLOCK + r'(?:layer_norm_2|layernorm_after)\.': _MIT_TO + 'norm2.',
    **_attention(_MIT_BLOCK, _MIT_TO, 'attn.attn.in_proj.', 'attn.attn.out_proj.'),
    _MIT_BLOCK + r'attention\.(?:self\.sr|sequence_reduction\.sequence_reduction)\.': _MIT_TO
    + 'attn.sr.',
    _MIT_BLOCK + r'attention\.(?:self|sequence_reduction)\.layer_norm\.': _MIT_TO + 'attn.norm.',
    _MIT_BLOCK + r'mlp\.dwconv\.dwconv\.': _MIT_TO + 'ffn.layers.1.',
    **pixelwise(_MIT_BLOCK + r'mlp\.(?:dense1|fc1)\.', _MIT_TO + 'ffn.layers.0.'),
    **pixelwise(_MIT_BLOCK + r'mlp\.(?:dense2|fc2)\.', _MIT_TO + 'ffn.layers.4.'),
    **pixelwise(
        r'decode_head\.(?:linear_c|linear_projections)\.(\d+)\.proj\.',
        r'decode_head.convs.\1.conv.',
    ),
    r'decode_head\.linear_fuse\.': Mapped('decode_head.fusion_conv.conv.', maps_in_order),
    r'decode_head\.batch_norm\.': 'decode_head.fusion_conv.bn.',
}

_SWIN_ROOT = r'(?:backbone\.)?(?:swin\.)?'
_SWIN_BLOCK = _SWIN_ROOT + r'encoder\.layers\.(\d+)\.blocks\.(\d+)\.'
_SWIN_TO = r'backbone.stages.\1.blocks.\2.'
_TABLE = r'relative_position_bias_table$'
_SWIN: dict[str, Fate] = {
    _SWIN_ROOT + r'embeddings\.patch_embeddings\.projection\.': 'backbone.patch_embed.projection.',
    _SWIN_ROOT + r'embeddings\.norm\.': 'backbone.patch_embed.norm.',
    _SWIN_ROOT + r'embeddings\.position_embeddings$': Mapped('backbone.absolute_pos_embed'),
    _SWIN_ROOT + r'embeddings\.mask_token$': LeftAside('part of the pretraining'),
    _SWIN_BLOCK + r'layernorm_before\.': _SWIN_TO + 'norm1.',
    _SWIN_BLOCK + r'layernorm_after\.': _SWIN_TO + 'norm2.',
    **_attention(_SWIN_BLOCK, _SWIN_TO, 'attn.w_msa.qkv.', 'attn.w_msa.proj.'),
    _SWIN_BLOCK + rf'attention\.(?:self|relative_position_bias)\.(?={_TABLE})': _SWIN_TO
    + 'attn.w_msa.',
    _SWIN_BLOCK
    + r'attention\.(?:self|relative_position_bias)\.relative_position_index$': LeftAside(
        'it follows from the size of the windows'
    ),
    _SWIN_BLOCK + r'(?:intermediate\.dense|mlp\.fc1)\.': _SWIN_TO + 'ffn.layers.0.0.',
    _SWIN_BLOCK + r'(?:output\.dense|mlp\.fc2)\.': _SWIN_TO + 'ffn.layers.1.',
    _SWIN_ROOT + r'encoder\.layers\.(\d+)\.downsample\.': Mapped(
        r'backbone.stages.\1.downsample.', in_unfolds_order
    ),
    _SWIN_ROOT + r'layernorm\.': _FINAL_NORM,
}

_CONVNEXT_ROOT = r'(?:backbone\.)?(?:convnext\.)?'
_CONVNEXT_STAGE = _CONVNEXT_ROOT + r'encoder\.stages\.(\d+)\.'
_CONVNEXT: dict[str, Fate] = {
    _CONVNEXT_ROOT + r'embeddings\.patch_embeddings\.': 'backbone.downsample_layers.0.0.',
    _CONVNEXT_ROOT + r'embeddings\.layernorm\.': 'backbone.downsample_layers.0.1.',
    _CONVNEXT_STAGE + r'downsampling_layer\.': r'backbone.downsample_layers.\1.',
    _CONVNEXT_STAGE + r'layers\.(\d+)\.dwconv\.': r'backbone.stages.\1.\2.depthwise_conv.',
    _CONVNEXT_STAGE + r'layers\.(\d+)\.layernorm\.': r'backbone.stages.\1.\2.norm.',
    _CONVNEXT_STAGE + r'layers\.(\d+)\.pwconv([12])\.': r'backbone.stages.\1.\2.pointwise_conv\3.',
    _CONVNEXT_STAGE + r'layers\.(\d+)\.layer_scale_parameter$': r'backbone.stages.\1.\2.gamma',
    _CONVNEXT_ROOT + r'layernorm\.': _FINAL_NORM,
}

# Stages are counted from 1 there.
_HEADS: dict[str, Fate] = {
    **{rf'backbone\.hidden_states_norms\.stage{i + 1}\.': f'backbone.norm{i}.' for i in range(16)},
    r'((?:decode|auxiliary)_head)\.classifier\.': r'\1.conv_seg.',
    r'((?:decode|auxiliary)_head\..+)\.batch_norm\.': r'\1.bn.',
    r'(?=(?:decode|auxiliary)_head\..+\.conv\.)': '',
    r'classifier\.': _CLASSIFIER,
}


def _is_of_hugging_face(names: Collection[str]) -> bool:
    return any(
        name.startswith('segformer.') or '.embeddings.patch_embeddings.' in f'.{name}'
        for name in names
    )


def _describe(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a ``config.json`` requires of a config of msseg."""
    kind = config.get('model_type')
    if kind == 'segformer':
        return _describe_segformer(config)
    backbone = config.get('backbone_config') if kind == 'upernet' else config
    describe = _BACKBONES.get(backbone.get('model_type')) if isinstance(backbone, dict) else None
    if describe is None:
        found = backbone.get('model_type') if isinstance(backbone, dict) else backbone
        raise UserValueError(
            key='model_type', got=found, expected=f'one of {["segformer", *_BACKBONES]}',
            who='config.json',
        )  # fmt: skip
    return {
        'backbone': describe(backbone),
        **(_describe_heads(config) if kind == 'upernet' else {}),
    }


def _describe_segformer(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    widths = _list(config, 'hidden_sizes', (32, 64, 160, 256))
    heads = _list(config, 'num_attention_heads', (1, 2, 5, 8))
    ratios = _list(config, 'mlp_ratios', (4, 4, 4, 4))
    sizes = {width / number for width, number in zip(widths, heads, strict=False)}
    if len(sizes) != 1 or len(set(ratios)) != 1:
        raise UserValueError(
            key='hidden_sizes', got=list(widths), who='config.json',
            expected=f'the same multiple of num_attention_heads={list(heads)} in each stage, and '
            f'the same mlp_ratios={list(ratios)}: MixVisionTransformer has one number for all',
        )  # fmt: skip
    backbone = {
        'type': 'MixVisionTransformer',
        'in_channels': config.get('num_channels', 3),
        'embed_dims': int(sizes.pop()),
        'num_stages': config.get('num_encoder_blocks', 4),
        'num_layers': _list(config, 'depths', (2, 2, 2, 2)),
        'num_heads': heads,
        'patch_sizes': _list(config, 'patch_sizes', (7, 3, 3, 3)),
        'strides': _list(config, 'strides', (4, 2, 2, 2)),
        'sr_ratios': _list(config, 'sr_ratios', (8, 4, 2, 1)),
        'mlp_ratio': ratios[0],
        'act_cfg': _activation(config),
        'norm_cfg': {'eps': _EPS},
    }
    head = {
        'type': 'SegformerHead',
        'in_channels': widths,
        'channels': config.get('decoder_hidden_size', 256),
        'plain_projections': True,
        'align_corners': False,
    }
    return {'backbone': backbone, 'decode_head': head}


def _describe_swin(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'type': 'SwinTransformer',
        'in_channels': config.get('num_channels', 3),
        'embed_dims': config.get('embed_dim', 96),
        'patch_size': config.get('patch_size', 4),
        'window_size': config.get('window_size', 7),
        'mlp_ratio': config.get('mlp_ratio', 4.0),
        'depths': _list(config, 'depths', (2, 2, 6, 2)),
        'num_heads': _list(config, 'num_heads', (3, 6, 12, 24)),
        'qkv_bias': config.get('qkv_bias', True),
        'use_abs_pos_embed': config.get('use_absolute_embeddings', False),
        'act_cfg': _activation(config),
        'norm_cfg': {'eps': config.get('layer_norm_eps', _EPS)},
    }


def _describe_convnext(config: Mapping[str, Any]) -> dict[str, Any]:
    arch = {
        'depths': _list(config, 'depths', (3, 3, 9, 3)),
        'channels': _list(config, 'hidden_sizes', (96, 192, 384, 768)),
    }
    eps = {'eps': 1e-6}  # whatever layer_norm_eps says
    return {
        'type': 'ConvNeXt',
        'in_channels': config.get('num_channels', 3),
        'arch': arch,
        'stem_patch_size': config.get('patch_size', 4),
        'gap_before_final_norm': False,
        'act_cfg': _activation(config),
        'norm_cfg': eps,
        'downsample_norm_cfg': eps,
    }


_BACKBONES = {'swin': _describe_swin, 'convnext': _describe_convnext}


def _describe_heads(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    head = {
        'type': 'UPerHead',
        'channels': config.get('hidden_size', 512),
        'pool_scales': _list(config, 'pool_scales', (1, 2, 3, 6)),
        'align_corners': False,
    }
    if not config.get('use_auxiliary_head', True):
        return {'decode_head': head}
    auxiliary = {
        'type': 'FCNHead',
        'in_index': 2,
        'channels': config.get('auxiliary_channels', 256),
        'num_convs': config.get('auxiliary_num_convs', 1),
        'concat_input': config.get('auxiliary_concat_input', False),
        'align_corners': False,
    }
    return {'decode_head': head, 'auxiliary_head': auxiliary}


def _activation(config: Mapping[str, Any]) -> dict[str, Any]:
    name = config.get('hidden_act', 'gelu')
    return {'type': _ACTIVATIONS.get(name, name)}


def _list(config: Mapping[str, Any], key: str, default: Sequence[int]) -> tuple[Any, ...]:
    value = config.get(key, default)
    if not isinstance(value, (list, tuple)) or not value:
        expected = 'a list of numbers'
        raise UserValueError(key=key, got=value, expected=expected, who='config.json')
    return tuple(value)


register_names('huggingface', _is_of_hugging_face, _describe)(
    Rules(_SEGFORMER | _SWIN | _CONVNEXT | _HEADS)
)
