"""Model configs that the tests of this folder share."""

WIDTHS = {'hr18s': (18, 36, 72, 144), 'hr18': (18, 36, 72, 144), 'hr48': (48, 96, 192, 384)}


def hrnet_extra(widths, num_blocks, num_modules, stem_width):
    def stage(branches, modules):
        return dict(
            num_modules=modules,
            num_branches=branches,
            block='BASIC',
            num_blocks=(num_blocks,) * branches,
            num_channels=widths[:branches],
        )

    return dict(
        stage1=dict(
            num_modules=1,
            num_branches=1,
            block='BOTTLENECK',
            num_blocks=(num_blocks,),
            num_channels=(stem_width,),
        ),
        stage2=stage(2, num_modules[0]),
        stage3=stage(3, num_modules[1]),
        stage4=stage(4, num_modules[2]),
    )


def tiny_hrnet(**options):
    """One block a branch, widths 4 to 32."""
    return dict(type='HRNet', extra=hrnet_extra((4, 8, 16, 32), 1, (1, 2, 1), 8), **options)


def ocrnet(backbone, widths, num_classes, channels, ocr_channels, head=None, loss=None):
    """An OCRNet as MMSegmentation's configs write it."""
    common = dict(
        in_channels=list(widths),
        in_index=(0, 1, 2, 3),
        input_transform='resize_concat',
        num_classes=num_classes,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        dropout_ratio=-1,
    )
    common.update(head or {})
    loss = dict(type='CrossEntropyLoss', use_sigmoid=False, **(loss or {}))
    return dict(
        type='CascadeEncoderDecoder',
        num_stages=2,
        backbone=backbone,
        decode_head=[
            dict(
                type='FCNHead',
                channels=sum(widths),
                kernel_size=1,
                num_convs=1,
                concat_input=False,
                loss_decode=dict(loss, loss_weight=0.4),
                **common,
            ),
            dict(
                type='OCRHead',
                channels=channels,
                ocr_channels=ocr_channels,
                loss_decode=dict(loss, loss_weight=1.0),
                **common,
            ),
        ],
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )


def tiny_ocrnet(backbone=None, **options):
    """The network of tests/data/parity."""
    return ocrnet(tiny_hrnet(**(backbone or {})), (4, 8, 16, 32), 7, 16, 8, **options)


def full_ocrnet(name, head=None):
    """OCRNet on HR18-small, HR18 or HR48 for Cityscapes."""
    small = name == 'hr18s'
    extra = hrnet_extra(WIDTHS[name], 2 if small else 4, (1, 3, 2) if small else (1, 4, 3), 64)
    backbone = dict(type='HRNet', norm_cfg=dict(type='SyncBN', requires_grad=True), extra=extra)
    return ocrnet(backbone, WIDTHS[name], 19, 512, 256, head=head)
