"""Heads on vision transformers: SETR's, Segmenter's and DPT's."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_head, build_segmentor
from msseg.models.decode_heads.dpt_head import ReassembleBlocks
from tests.test_models.test_vit import SMALL
from tests.tiny_families import head, lists, model

DPT = head(
    'DPTHead', **lists(4, 4, 4, 4), input_transform='multiple_select', embed_dims=4,
    post_process_channels=(2, 3, 4, 5),
)  # fmt: skip
SEGMENTER = head(
    'SegmenterMaskTransformerHead', in_channels=4, in_index=0, num_layers=2, num_heads=2,
    embed_dims=8, norm_cfg=dict(type='LN'),
)  # fmt: skip
MLA = head('SETRMLAHead', **lists(4, 4), channels=6, mla_channels=3)
SIGMOID = dict(threshold=0.5, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
UP = head('SETRUPHead', in_channels=4, in_index=0)


def random(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def test_each_convolution_of_setr_is_followed_by_an_enlargement():
    x = (random(1, 4, 3, 5),)
    progressive = build_head(dict(UP, num_convs=2, up_scale=2)).set_train(False)
    assert progressive(x).shape == (1, 3, 12, 20)
    naive = build_head(dict(UP, kernel_size=1)).set_train(False)
    assert naive.up_convs[0][0].conv.weight.shape == (4, 4, 1, 1)
    assert naive(x).shape == (1, 3, 12, 20)


def test_setr_normalises_the_channels_of_each_pixel():
    setr = build_head(UP).set_train(False)
    x = random(1, 4, 3, 5)
    expected = setr((x,)).asnumpy()
    np.testing.assert_allclose(setr((5.0 * x + 2.0,)).asnumpy(), expected, atol=1e-4)


def test_masks_are_similarities_of_pixels_and_classes():
    """The logits before their norm, a layer norm over classes, are cosines."""
    segmenter = build_head(SEGMENTER).set_train(False)
    cosines = []
    segmenter.mask_norm = Recorder(cosines)
    assert segmenter((random(2, 4, 3, 5),)).shape == (2, 3, 3, 5)
    (values,) = cosines
    assert values.shape == (2, 15, 3)
    assert np.abs(values).max() <= 1 + 1e-5
    assert not hasattr(segmenter, 'conv_seg')


class Recorder(ms.nn.Cell):
    """Keeps what it is called with."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def construct(self, x):
        self.values.append(x.asnumpy())
        return x


def test_initial_weights_of_segmenter_have_its_deviation():
    segmenter = build_head(dict(SEGMENTER, embed_dims=32, init_std=0.1))
    assert segmenter.classes_proj.weight.asnumpy().std() == pytest.approx(0.1, rel=0.15)
    assert segmenter.cls_emb.asnumpy().std() == pytest.approx(0.1, rel=0.3)
    assert not segmenter.layers[0].ffn.layers[1].bias.asnumpy().any()


@pytest.mark.parametrize('readout_type', ['ignore', 'add', 'project'])
def test_dpt_reads_class_tokens(readout_type):
    blocks = ReassembleBlocks(4, (2, 3, 4, 5), readout_type).set_train(False)
    pairs = tuple((random(1, 4, 4, 6, seed=i), random(1, 4, seed=i)) for i in range(4))
    maps = blocks(pairs)
    assert [each.shape[1:] for each in maps] == [(2, 16, 24), (3, 8, 12), (4, 4, 6), (5, 2, 3)]
    changed = blocks(tuple((x, token + 1.0) for x, token in pairs))
    differs = [bool((a != b).any()) for a, b in zip(maps, changed, strict=True)]
    assert differs == [readout_type != 'ignore'] * 4
    if readout_type == 'add':
        moved = blocks(tuple((x + 1.0, token) for x, token in pairs))
        for a, b in zip(changed, moved, strict=True):
            np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), atol=1e-5)


def test_dpt_takes_maps_of_odd_sizes():
    backbone = dict(SMALL, num_layers=4, out_indices=(0, 1, 2, 3), output_cls_token=True)
    network = build_segmentor(model(DPT, backbone)).set_train(False)
    assert network.predict(random(1, 3, 24, 40)).shape == (1, 3, 32, 48)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(UP, kernel_size=2), 'kernel_size.*2'),
        (dict(UP, **lists(4, 4), input_transform='multiple_select'), 'in_channels.*one number'),
        (dict(UP, num_convs=0, channels=6), 'channels.*6.*in_channels'),
        (dict(MLA, channels=8), 'channels.*8.*expected 6'),
        (dict(SEGMENTER, num_heads=3), 'num_heads.*3'),
        (dict(SEGMENTER, num_classes=2, out_channels=1, **SIGMOID), 'out_channels.*each class'),
        (dict(DPT, input_transform='resize_concat'), "input_transform.*'multiple_select'"),
        (dict(DPT, embed_dims=6), 'in_channels.*embed_dims'),
        (dict(DPT, post_process_channels=(2, 3)), 'post_process_channels.*four numbers'),
        (dict(DPT, readout_type='mean'), "readout_type.*'project'"),
        (dict(DPT, expand_channels=True), 'expand_channels.*True'),
    ],
)
def test_bad_arguments(config, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build_head(config)


def test_dpt_needs_class_tokens():
    backbone = dict(SMALL, num_layers=4, out_indices=(0, 1, 2, 3))
    with pytest.raises(ValueError, match=r'output_cls_token.*True, as DPTHead'):
        build_segmentor(model(DPT, backbone))
