"""The same on HRNet-W48, whose branches have 48, 96, 192 and 384 channels."""

_base_ = './fcn_hr18.py'
widths = [48, 96, 192, 384]
model = dict(
    pretrained='open-mmlab://msra/hrnetv2_w48',
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=tuple(widths[:2])),
            stage3=dict(num_channels=tuple(widths[:3])),
            stage4=dict(num_channels=tuple(widths)),
        )
    ),
    decode_head=dict(in_channels=widths, channels=sum(widths)),
)
del widths
