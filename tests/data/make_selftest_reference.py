"""Write the known results of the self-test's networks, which MMSegmentation computes in float64.

Where mmsegmentation 0.30.0, mmcv 1.7.2, mmcls 0.25.0 and torch are installed (they are no
dependencies), in the clone:
    python -m tests.data.make_selftest_reference
"""

import gzip
import json

import torch

from msseg.checks.selftest.reference import SIZES, STORED, make_batch, summarise
from tests.data.make_sgd_steps import build_filled, make_row

BN = dict(type='BN', requires_grad=True)
RESNET = dict(
    type='ResNetV1c', depth=18, stem_channels=4, base_channels=4, num_stages=2, strides=[1, 2],
    dilations=[1, 1], out_indices=[0, 1], norm_cfg=BN,
)  # fmt: skip


def stage(branches, block='BASIC', channels=(4, 8, 16, 32)):
    return dict(
        num_modules=1, num_branches=branches, block=block, num_blocks=[1] * branches,
        num_channels=list(channels[:branches]),
    )  # fmt: skip


def head(kind, in_channels, index, **options):
    return dict(
        type=kind, in_channels=in_channels, in_index=index, num_classes=3, norm_cfg=BN,
        dropout_ratio=0.0, align_corners=False, **options,
    )  # fmt: skip


FOUR = [4, 8, 16, 32], [0, 1, 2, 3]
MODELS = {
    'OCRNet on HRNet': dict(
        type='CascadeEncoderDecoder', num_stages=2,
        backbone=dict(type='HRNet', norm_cfg=BN, extra=dict(
            stage1=stage(1, 'BOTTLENECK'), stage2=stage(2), stage3=stage(3), stage4=stage(4),
        )),
        decode_head=[
            head('FCNHead', *FOUR, input_transform='resize_concat', channels=8, kernel_size=1,
                 num_convs=1, concat_input=False,
                 loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
            head('OCRHead', *FOUR, input_transform='resize_concat', channels=8, ocr_channels=4),
        ],
    ),
    'DeepLabV3+ on ResNet': dict(
        type='EncoderDecoder', backbone=RESNET,
        decode_head=head('DepthwiseSeparableASPPHead', 8, 1, channels=4, dilations=[1, 3],
                         c1_in_channels=4, c1_channels=2),
        auxiliary_head=head('FCNHead', 4, 0, channels=4, num_convs=1, concat_input=False,
                            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    ),
    'SegFormer': dict(
        type='EncoderDecoder',
        backbone=dict(type='MixVisionTransformer', embed_dims=4, num_layers=[1, 1, 1, 1],
                      num_heads=[1, 2, 3, 4], drop_rate=0.0, attn_drop_rate=0.0,
                      drop_path_rate=0.0),
        decode_head=head('SegformerHead', [4, 8, 12, 16], [0, 1, 2, 3], channels=4),
    ),
    'UPerNet on Swin': dict(
        type='EncoderDecoder',
        backbone=dict(type='SwinTransformer', embed_dims=4, depths=[2, 2], num_heads=[1, 2],
                      strides=[4, 2], out_indices=[0, 1], window_size=4, drop_rate=0.0,
                      attn_drop_rate=0.0, drop_path_rate=0.0),
        decode_head=head('UPerHead', [4, 8], [0, 1], channels=4, pool_scales=[1, 2]),
    ),
}  # fmt: skip


def logits_of(config, size):
    network = build_filled(config).eval()
    images, _ = make_batch(size, network.num_classes)
    image = torch.from_numpy(images[:1]).double()
    with torch.no_grad():
        logits = network.encode_decode(image, [dict(ori_shape=(*size, 3))]).numpy()
    return [float(f'{value:.7g}') for value in summarise('logits', 0 * logits, logits)]


def main():
    torch.set_num_threads(1)
    networks = {}
    for name, config in MODELS.items():
        row = make_row(name, SIZES[0], config)
        logits = {f'{size[0]}x{size[1]}': logits_of(config, size) for size in SIZES}
        networks[name] = dict(model=config, loss=row['loss'], weights=row['weights'], logits=logits)
        print(name, row['loss'], logits, flush=True)
    STORED.write_bytes(gzip.compress(json.dumps(networks).encode(), mtime=0))


if __name__ == '__main__':
    main()
