"""Arguments of models that do not exist or do not fit: one line, with the config path."""

import copy

import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.config import Config
from msseg.models import build_segmentor
from msseg.utils.cli import USER_ERRORS
from tests.tiny_families import FAMILIES

# By family: dotted key and value. The message names the key's part of the model and the key.
WRONG = {
    'beit': [
        ('backbone.img_size', (8, 80)),
        ('backbone.img_size', (64, 80, 96)),
        ('backbone.num_heads', 3),
        ('backbone.out_indices', (0, 1, 2, 4)),
        ('backbone.num_fcs', 1),
        ('backbone.init_values', None),
        ('backbone.drop_path_rate', 1.0),
    ],
    'bisenetv1': [
        ('backbone.spatial_channels', (4, 4, 4, 4)),
        ('backbone.context_channels', (8, 16)),
        ('backbone.out_indices', (0, 1, 3)),
        ('backbone.backbone_cfg', None),
        ('backbone.backbone_cfg.depth', 19),
        ('backbone.align_corners', True),
        ('backbone.in_channels', 1),
    ],
    'bisenetv2': [
        ('backbone.out_indices', (0, 1, 2, 4)),
        ('backbone.semantic_channels', (1, 4, 8)),
        ('backbone.semantic_channels', (4,)),
        ('backbone.semantic_expansion_ratio', 0),
    ],
    'cgnet': [
        ('backbone.num_channels', (4, 8)),
        ('backbone.num_channels', (4, 7, 16)),
        ('backbone.num_blocks', (0, 2)),
        ('backbone.reductions', (16, 4)),
        ('backbone.dilations', (0, 1)),
        ('decode_head.num_convs', -1),
        ('decode_head.channels', 16),
    ],
    'deeplabv3': [('decode_head.dilations', (0,)), ('decode_head.dilations', (1, 1.5))],
    'deeplabv3plus': [
        ('decode_head.c1_in_channels', 0),
        ('decode_head.c1_in_channels', 8),
        ('decode_head.c1_channels', -1),
    ],
    'dpt': [
        ('backbone.output_cls_token', False),
        ('decode_head.embed_dims', 4),
        ('decode_head.input_transform', 'resize_concat'),
        ('decode_head.post_process_channels', (2, 3)),
    ],
    'erfnet': [
        ('backbone.enc_downsample_channels', (3, 8, 16)),
        ('backbone.enc_stage_non_bottlenecks', (1, 3)),
        ('backbone.dec_upsample_channels', (8,)),
        ('backbone.dropout_ratio', 1.0),
        ('backbone.enc_non_bottleneck_dilations', ()),
        ('decode_head.in_index', 1),
    ],
    'fastscnn': [
        ('backbone.lower_in_channels', 4),
        ('backbone.fusion_out_channels', 3),
        ('backbone.global_block_channels', (4, 8, 6)),
        ('backbone.global_block_strides', (2, 2, 3)),
        ('backbone.out_indices', (0, 3)),
        ('decode_head.dw_act_cfg', 'relu'),
    ],
    'fcn': [
        ('backbone.depth', 17),
        ('backbone.depth', '18'),
        ('backbone.depht', 18),
        ('backbone.out_indices', (0, 2)),
        ('backbone.out_indices', 1),
        ('backbone.strides', (1, 2, 2)),
        ('backbone.dilations', (0, 1)),
        ('backbone.num_stages', 5),
        ('backbone.multi_grid', (1,)),
        ('backbone.style', 'tf'),
        ('backbone.frozen_stages', 5),
        ('backbone.stem_channels', 1),
        ('backbone.dcn', dict(type='DCN')),
    ],
    'hrnet': [
        ('decode_head.in_channels', (4, 8, 16)),
        ('decode_head.in_channels', []),
        ('decode_head.input_transform', 'concat'),
        ('backbone.extra.stage1.block', 'BASICS'),
        ('backbone.extra.stage4.num_channels', (4, 8, 16)),
    ],
    'mae': [('backbone.qv_bias', True), ('backbone.out_indices', -2)],
    'mobilenet_v2': [
        ('backbone.out_indices', (7,)),
        ('backbone.widen_factor', 0),
        ('backbone.strides', (1, 2)),
        ('backbone.frozen_stages', 9),
    ],
    'mobilenet_v3': [
        ('backbone.arch', 'medium'),
        ('backbone.out_indices', (0, 1, 16)),
        ('backbone.reduction_factor', 0),
        ('decode_head.branch_channels', (2,)),
        ('decode_head.in_channels', (16, 16, 96)),
        ('decode_head.input_transform', None),
    ],
    'ocrnet': [('decode_head.1.ocr_channels', 0), ('decode_head.1.scale', 0)],
    'pspnet': [
        ('decode_head.pool_scales', (0, 1)),
        ('decode_head.pool_scales', 6),
        ('decode_head.in_channels', 2048),
        ('decode_head.in_index', 3),
        ('decode_head.norm_cfg', dict(type='GN', num_groups=3)),
        ('decode_head.num_classes', 1),
        ('decode_head.dropout_ratio', 1.0),
        ('auxiliary_head.in_channels', 8),
        ('test_cfg.mode', 'slid'),
    ],
    'resnest': [('backbone.depth', 34), ('backbone.radix', 0), ('backbone.groups', 3)],
    'resnext': [('backbone.depth', 18), ('backbone.groups', 0)],
    'sem_fpn': [
        ('decode_head.feature_strides', (4,)),
        ('decode_head.feature_strides', (8, 4)),
        ('decode_head.input_transform', 'resize_concat'),
        ('decode_head.in_index', [0, 3]),
        ('neck.in_channels', [8, 4]),
        ('neck.num_outs', 1),
        ('neck.start_level', 2),
        ('neck.end_level', 3),
        ('neck.upsample_cfg.mode', 'bicubic'),
        ('neck.add_extra_convs', 'on_top'),
    ],
    'segmenter': [('decode_head.embed_dims', 5), ('decode_head.in_channels', 4)],
    'setr': [('decode_head.kernel_size', 2), ('decode_head.up_scale', 0.5)],
    'setr_mla': [('decode_head.mla_channels', 4), ('neck.in_channels', [4, 4])],
    'stdc': [
        ('backbone.backbone_cfg.stdc_type', 'STDCNet3'),
        ('backbone.backbone_cfg.channels', (4, 4, 12, 16, 32)),
        ('backbone.last_in_channels', (32,)),
        ('backbone.ffm_cfg.scale_factor', 32),
        ('backbone.upsample_mode', 'cubic'),
        ('auxiliary_head.2.num_classes', 3),
        ('decode_head.sampler.min_kept', 0),
    ],
    'unet': [
        ('backbone.num_stages', 0),
        ('backbone.strides', (1, 1)),
        ('backbone.downsamples', (True,)),
        ('backbone.enc_num_convs', (0, 1, 1)),
        ('backbone.upsample_cfg', dict(type='bilinear')),
        ('decode_head.in_index', 3),
        ('decode_head.in_channels', 4),
    ],
    'upernet': [
        ('decode_head.pool_scales', (1, 300)),
        ('decode_head.in_channels', []),
        ('decode_head.in_channels', 8),
        ('decode_head.input_transform', 'resize_concat'),
    ],
    'vit': [
        ('backbone.img_size', 4),
        ('backbone.num_heads', 4),
        ('backbone.out_indices', (0, 2)),
        ('backbone.output_cls_token', True),
        ('backbone.interpolate_mode', 'area'),
    ],
}
CASES = [(name, key, value) for name, cases in WRONG.items() for key, value in cases]


def changed(name, key, value):
    """A family's config with one other value."""
    model = copy.deepcopy(FAMILIES[name].model)
    *path, last = key.split('.')
    node = model
    for part in path:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    node[last] = value
    return model


@pytest.mark.parametrize(('name', 'key', 'value'), CASES)
def test_one_line_names_place_and_argument(name, key, value):
    cfg = Config(dict(model=changed(name, key, value)))
    with no_init_parameters(), pytest.raises(USER_ERRORS) as raised:
        build_segmentor(cfg.model)
    message = str(raised.value.args[0])
    part, _, argument = key.rpartition('.')
    outer = part.split('.')[0]
    assert message.startswith(f'model.{outer}') and '\n' not in message
    assert argument in message and len(message) < 600
    assert 'msseg.' not in message  # no name of Python's
