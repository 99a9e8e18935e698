"""AdamW for 80 iterations: networks that start from random weights on few images."""

_base_ = '../default_runtime.py'
optimizer = dict(type='AdamW', lr=0.002, weight_decay=0.01)
optimizer_config = dict()
lr_config = dict(
    policy='poly',
    power=0.9,
    min_lr=1e-5,
    by_epoch=False,
    warmup='linear',
    warmup_iters=10,
    warmup_ratio=0.05,
)
runner = dict(type='IterBasedRunner', max_iters=80)
checkpoint_config = dict(by_epoch=False, interval=80)
evaluation = dict(interval=40, metric='mIoU')
log_config = dict(interval=5)
