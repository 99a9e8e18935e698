"""An OCRNet that trains from scratch on a CPU in minutes: one module a stage, two blocks each."""

_base_ = './ocrnet_hr18.py'
model = dict(
    pretrained=None,
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(2,)),
            stage2=dict(num_blocks=(2, 2)),
            stage3=dict(num_modules=1, num_blocks=(2, 2, 2)),
            stage4=dict(num_modules=1, num_blocks=(2, 2, 2, 2)),
        )
    ),
    decode_head={
        '*': dict(loss_decode=dict(avg_non_ignore=True)),
        1: dict(channels=64, ocr_channels=32),
    },
)
