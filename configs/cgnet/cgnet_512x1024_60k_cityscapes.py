"""CGNet, Cityscapes, crops of 512x1024, 60,000 iterations.

Paper: CGNet: A Light-weight Context Guided Network for Semantic Segmentation,
    https://arxiv.org/abs/1811.08201
Command: python tools/train.py configs/cgnet/cgnet_512x1024_60k_cityscapes.py
Hardware: 4 devices with 8 images each; upstream used 8.3 GB a card.
Expected: mIoU 68.27 on the validation set, 70.33 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/cgnet.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
]
img_norm_cfg = dict(mean=[72.39239876, 82.90891754, 73.15835921], std=[1, 1, 1], to_rgb=True)
normalise = dict(pipeline={1: dict(transforms={2: img_norm_cfg})})
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=4,
    train=dict(pipeline={6: img_norm_cfg}),
    val=normalise,
    test=normalise,
)
optimizer = dict(type='Adam', lr=0.001, eps=1e-08, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=60000)
checkpoint_config = dict(by_epoch=False, interval=4000)
evaluation = dict(interval=4000, metric='mIoU')
del normalise
