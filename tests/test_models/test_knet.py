"""K-Net's heads: masks and kernels against MMSegmentation's, losses, channels, precision."""

import json
import logging
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_head, build_segmentor
from msseg.models.analysis.complexity import count_complexity
from msseg.models.layers import KernelUpdator, use_low_precision
from tests.test_models.reference_weights import load_filled
from tests.test_models.test_mmseg030 import DATA
from tests.tiny_families import AUX, build, head, knet_stage, model

PARTS = json.loads(Path(DATA / 'parts.json').read_text('utf-8'))
SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)
STAGES = [name for name in PARTS if name.startswith('KernelUpdateHead')]


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def fcn(**options):
    return head('FCNHead', channels=8, num_convs=1, concat_input=False, **options)


def knet(first=None, *stages):
    """The decode head with stages of other options than `knet_stage`."""
    return dict(
        type='IterativeDecodeHead',
        num_stages=len(stages) or 1,
        kernel_generate_head=first or fcn(),
        kernel_update_head=[knet_stage(**each) for each in stages] or [knet_stage()],
    )


def updator(width, out=None):
    return dict(type='KernelUpdator', in_channels=width, out_channels=out or width)


@pytest.mark.parametrize('name', STAGES)
def test_masks_and_kernels_are_mmsegmentations(name):
    row = PARTS[name]
    cell = build_head(row['config']).set_train(False)
    load_filled(cell, row['names'], 'decode_head.')
    rng = np.random.default_rng(0)
    x, kernels, masks = (ms.Tensor(rng.normal(size=s), ms.float32) for s in row['inputs'])
    assert cell.check_channels(x.shape[1], kernels.shape[2]) == row['outputs'][1]['shape'][2]
    for output, wanted in zip(cell(x, kernels, masks), row['outputs'], strict=True):
        got = output.asnumpy().astype(np.float64)
        assert list(got.shape) == wanted['shape']
        count = min(got.size, 32)
        places = np.sort(np.random.default_rng(3).choice(got.size, count, replace=False))
        np.testing.assert_allclose(got.reshape(-1)[places], wanted['values'], atol=1e-4)
        assert got.mean() == pytest.approx(wanted['mean'], abs=1e-4)
        assert got.std() == pytest.approx(wanted['std'], abs=1e-4)


def test_each_stage_has_losses_in_order():
    losses = [dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]
    cell = build_head(knet(fcn(loss_decode=losses, dropout_ratio=0), {}, {}))
    names = ('loss_ce', 'loss_dice', 'acc_seg')
    assert cell.loss_names == [f'{name}.s{i}' for i in range(3) for name in names]
    assert cell.train_only_losses == tuple(cell.loss_names[:6])
    maps = (tensor(2, 4, 8, 10), tensor(2, 8, 4, 5))
    last, first, second = cell.set_train()(maps)
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 8, 10)), ms.int32)
    values = [float(each) for each in cell.losses((last, first, second), labels)]
    alone = cell.kernel_generate_head
    np.testing.assert_allclose(first.asnumpy(), alone(maps).asnumpy(), rtol=1e-6)
    for i, logits in enumerate((first, second, last)):
        expected = [float(each) for each in alone.losses(logits, labels)]
        assert values[3 * i : 3 * i + 3] == pytest.approx(expected, rel=1e-6)
    evaluated = [float(each) for each in cell.losses(last, labels)]
    assert evaluated == pytest.approx([0] * 6 + values[6:], rel=1e-6)


def test_masks_are_found_for_each_image_alone():
    cell = build_head(knet(fcn(norm_cfg=None), {}, {})).set_train(False)
    x = tensor(2, 8, 4, 5)
    both = cell((x, x)).asnumpy()
    for i in range(2):
        single = cell((x[i : i + 1],) * 2).asnumpy()
        np.testing.assert_allclose(single, both[i : i + 1], rtol=1e-4, atol=1e-5)


def test_fc_mask_starts_small_with_kernel_init():
    wide = dict(in_channels=64, out_channels=64)
    deviations = [
        build_head(knet_stage(**wide, kernel_init=each)).fc_mask.weight.asnumpy().std()
        for each in (False, True)
    ]
    # uniform within 1 / sqrt(64), as PyTorch's, and normal
    assert deviations == pytest.approx([0.125 / 3**0.5, 0.01], rel=0.05)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (knet_stage(conv_kernel_size=2), 'conv_kernel_size is 2, expected an odd number'),
        (knet_stage(feat_gather_stride=2, feat_transform_cfg=None), 'feat_gather_stride is 2'),
        (knet_stage(feat_transform_cfg=dict(strides=2)), "feat_transform_cfg: .*'strides'"),
        (knet_stage(num_heads=3), 'num_heads is 3, expected a divisor of'),
        (knet_stage(kernel_updator_cfg=dict(type='KernelUpdater')), "Did you mean 'KernelUpdator'"),
        (
            knet_stage(kernel_updator_cfg=dict(updator(4), feat_channels=8)),
            r'KernelUpdator: feat_channels is 8, expected in_channels \(4\)',
        ),
        (dict(knet(), num_stages=2), 'num_stages is 2, expected 1'),
        (knet(head('DAHead', pam_channels=2)), 'DAHead does more than classify features'),
        (knet(knet_stage()), 'KernelUpdateHead does more than classify features'),
        (
            knet(fcn(num_classes=2, out_channels=1, threshold=0.5, loss_decode=SIGMOID)),
            r'FCNHead: out_channels is 1, expected num_classes \(2\)',
        ),
        (dict(knet(), kernel_update_head=[fcn()]), 'FCNHead is no KernelUpdateHead'),
        (knet(None, dict(in_channels=4)), 'in_channels is 4, expected 8, the channels of the map'),
        (knet(None, dict(out_channels=4)), 'out_channels is 4, expected 8'),
        (
            knet(None, dict(kernel_updator_cfg=updator(3))),
            r'kernel_updator_cfg.in_channels is 3, expected a divisor of 8',
        ),
        (
            knet(None, dict(kernel_updator_cfg=updator(4, 8))),
            'gives kernels of 16 numbers, but in_channels .8. and conv_kernel_size .1. need 8',
        ),
        (
            knet(None, dict(conv_kernel_size=3, feat_transform_cfg=None)),
            'gives kernels of 8 numbers, .* need 72',
        ),
    ],
)
def test_what_does_not_fit_is_one_line(config, message):
    with pytest.raises((KeyError, TypeError, ValueError), match=message) as caught:
        build_head(config)
    assert '\n' not in str(caught.value)


def test_feature_maps_are_those_of_the_first_head():
    with pytest.raises(ValueError, match='in_channels is 6 for in_index 1'):
        build_segmentor(model(knet(fcn(in_channels=6))))


def test_too_small_images_are_refused():
    network = build_segmentor(model(knet(fcn(), dict(mask_transform_stride=2))))
    assert network.smallest_image == 9
    network.check_image_size((9, 9))
    with pytest.raises(ValueError, match=r'IterativeDecodeHead: .* expected at least \(9, 9\)'):
        network.check_image_size((8, 64))


def test_other_numbers_of_classes_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING, 'msseg'):
        build_head(knet(None, dict(num_classes=150)))
    assert 'num_classes of a KernelUpdateHead is 150, but kernel_generate_head has 3' in caplog.text


def test_sums_over_large_maps_are_finite_in_mixed_precision():
    layer = KernelUpdator(4)
    expected = layer(tensor(1, 3, 4) * 1e5, tensor(1, 3, 4, seed=1)).asnumpy()
    use_low_precision(layer, ms.float16)
    got = layer(tensor(1, 3, 4) * 1e5, tensor(1, 3, 4, seed=1)).asnumpy()
    np.testing.assert_allclose(got, expected, atol=0.02)


def test_mixed_precision_gives_nearly_the_same():
    image = tensor(1, 3, 32, 48)
    expected = build('knet').predict(image).asnumpy()
    network = build('knet')
    use_low_precision(network, ms.float16)
    got = network.predict(image).asnumpy()
    np.testing.assert_allclose(got, expected, atol=0.02 * np.abs(expected).max())


def test_products_of_masks_and_attention_are_counted():
    stage = {'feat_transform_cfg': None}
    networks = [model(knet(None, *[stage] * n), auxiliary_head=AUX) for n in (1, 2)]
    one, two = (
        sum(part.macs for part in count_complexity(build_segmentor(each), (32, 48)))
        for each in networks
    )
    classes, c, pixels, inside = 3, 8, 4 * 6, 12
    gathered = made = classes * c * pixels
    updated = classes * 2 * (8 + 8 + 4 + 4 + 4) * 4
    attended = classes * 4 * c * c + 2 * classes * classes * c
    rest = classes * (2 * c * inside + c * c + c * c)
    assert two - one == gathered + made + updated + attended + rest
