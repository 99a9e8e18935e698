"""SGD as the authors of OCRNet use it: the rate falls to zero, by iteration, over some epochs."""

optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=0.0, by_epoch=False)
runner = dict(type='EpochBasedRunner', max_epochs=484)
checkpoint_config = dict(by_epoch=True, interval=10, max_keep_ckpts=3)
evaluation = dict(by_epoch=True, interval=10, metric='mIoU', save_best='mIoU')
