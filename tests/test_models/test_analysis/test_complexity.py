"""Multiplications, by hand and against published figures."""

import mindspore as ms
import pytest
from mindspore import nn, ops

from msseg.apis import build_model, load_config
from msseg.models.analysis.complexity import count_complexity, format_complexity
from msseg.models.layers import BatchProduct, Conv2d, build_upsample_layer


class ByHand(nn.Cell):
    """A convolution with stride and dilation, a grouped one, a product of matrices."""

    def __init__(self):
        super().__init__()
        self.in_channels = 3
        self.first = Conv2d(3, 8, 3, stride=2, padding=2, dilation=2)
        self.second = nn.SequentialCell(Conv2d(8, 12, (1, 3), groups=4, bias=False), nn.ReLU())
        self.unused = Conv2d(8, 8, 1)
        self.product = BatchProduct(transpose_b=True)
        self.plain = nn.Conv2d(3, 5, 3, stride=2)  # MindSpore's own way of padding
        self.up = build_upsample_layer(dict(type='deconv', kernel_size=2, stride=2), 5, 4)
        self.linear = nn.Dense(130, 10)

    def predict(self, img):
        x = self.second(self.first(img))
        n, c, h, w = x.shape
        flat = x.reshape(n, c, h * w)
        attention = ops.matmul(ops.softmax(self.product(flat, flat), -1), self.linear(flat))
        mixed = ops.einsum('nij,nkj->nik', attention, attention)
        return self.up(self.plain(img)).mean() + ops.relu(x).mean() + mixed.mean()


def test_layers_are_counted_as_worked_out_by_hand():
    before = ms.get_context('mode')
    parts = {p.name: p for p in count_complexity(ByHand(), (20, 30), depth=1)}
    # 20x30 -> 10x15 -> 10x13
    assert parts['first'].macs == 10 * 15 * 8 * 3 * 9
    assert parts['second'].macs == 10 * 13 * 12 * 2 * 3
    assert parts['product'].macs == 12 * 130 * 12
    assert parts['plain'].macs == 10 * 15 * 5 * 3 * 9
    assert parts['up'].macs == 10 * 15 * 5 * 4 * 2 * 2
    assert parts['linear'].macs == 12 * 130 * 10
    assert parts['model'].macs == 12 * 12 * 10 + 12 * 12 * 10  # functional attention and einsum
    assert parts['unused'].macs == 0
    assert parts['first'].parameters == 8 * 3 * 9 + 8
    assert parts['second'].parameters == 12 * 2 * 3
    assert ms.get_context('mode') == before


def test_published_figures():
    """The authors' table for Cityscapes, images of 1024x2048; they divide by 2**30.

    github.com/HRNet/HRNet-Semantic-Segmentation, branch pytorch-v1.1, W18-Small-v2
    """
    model = build_model(load_config('configs/hrnet/fcn_hr18s_512x1024_40k_cityscapes.py'))
    parts = count_complexity(model, (128, 256))  # a 64th of the pixels, and of every feature map
    assert sum(p.parameters for p in parts) == pytest.approx(3.9e6, rel=0.011)
    assert 64 * sum(p.macs for p in parts) == pytest.approx(71.6 * 2**30, rel=0.001)


def test_all_parts_are_told_of(tmp_path):
    from tests.tiny import write_config

    model = build_model(load_config(write_config(tmp_path, tmp_path)))
    parts = count_complexity(model, (48, 64))
    names = [part.name for part in parts]
    assert {'backbone.conv1', 'backbone.stage4', 'decode_head.0', 'decode_head.1'} <= set(names)
    assert len(names) == len(set(names))
    trainable = sum(p.size for p in model.trainable_params())
    assert sum(part.parameters for part in parts) == trainable
    table = format_complexity(parts, (48, 64))
    assert 'one image of 48x64' in table
    assert f'| all                  | {trainable:,}'.replace(' ', '') in table.replace(' ', '')
    assert [p.name for p in count_complexity(model, (48, 64), depth=1)] == [
        'backbone', 'decode_head'
    ]  # fmt: skip
