"""Mixed precision: what computes in 16 bits, and that it learns the same."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import SegmentorWithLoss, build_segmentor
from msseg.models.decode_heads.ocr_head import SpatialGatherModule
from msseg.models.layers import ConvModule, use_low_precision
from msseg.utils.target import assume_target
from tests import tiny_families
from tests.test_models.model_configs import ocrnet, tiny_hrnet


def build():
    np.random.seed(0)
    ms.set_seed(0)
    return build_segmentor(ocrnet(tiny_hrnet(), (4, 8, 16, 32), 2, 16, 8))


def batch():
    rng = np.random.default_rng(0)
    img = rng.normal(size=(2, 3, 64, 64)).astype(np.float32)
    gt = (img[:, 0] > 0).astype(np.int32)
    return ms.Tensor(img), ms.Tensor(gt)


class Stages(nn.Cell):
    """The types of what a layer's parts give."""

    def __init__(self, norm):
        super().__init__()
        self.layer = ConvModule(3, 4, 3, norm_cfg={'type': norm})
        self.norm = getattr(self.layer, self.layer.norm_name)

    def construct(self, x):
        x = self.layer.conv(x)
        return x, self.norm(x)


@pytest.mark.parametrize('norm', ['BN', 'LN2d'])
def test_convolutions_are_low_and_norms_are_full(norm):
    stages = Stages(norm)
    use_low_precision(stages, ms.float16)
    convolved, normalised = stages(batch()[0])
    assert (convolved.dtype, normalised.dtype) == (ms.float16, ms.float32)


@pytest.mark.parametrize('name', ['vit', 'segmenter', 'dpt', 'setr_mla'])
def test_heads_on_vision_transformers_compute_with_16_bit_maps(name):
    """The neck of `vit` ends with convolutions without norms."""
    network, x = tiny_families.build(name), ms.Tensor(tiny_families.images((32, 48))[0])
    expected = network.predict(x).asnumpy()
    use_low_precision(network, ms.float16)
    difference = np.abs(network.predict(x).asnumpy() - expected).max()
    assert 0 < difference < 0.05 * np.abs(expected).max()


def test_softmax_over_pixels_is_full():
    gather = SpatialGatherModule()
    use_low_precision(gather, ms.float16)
    rng = np.random.default_rng(0)
    # these logits are infinite in float16
    logits = ms.Tensor(rng.normal(size=(1, 3, 4, 4)).astype(np.float32) * 1e5)
    regions = gather(ms.Tensor(np.ones((1, 2, 4, 4), np.float32)), logits)
    np.testing.assert_allclose(regions.asnumpy(), 1, rtol=1e-2)


def test_loss_and_gradients_are_those_of_float32_nearly():
    results, names = [], None
    for dtype in (None, ms.float16):
        network = SegmentorWithLoss(build())
        if dtype is not None:
            use_low_precision(network, dtype)
        network.set_train()
        weights = network.trainable_params()
        grad = ms.value_and_grad(network, None, weights, has_aux=True)
        (loss, _), grads = grad(*batch())
        results.append((float(loss.asnumpy()), [g.asnumpy().astype(np.float64) for g in grads]))
        assert {g.dtype for g in grads} == {p.dtype for p in weights} == {ms.float32}
        assert names in (None, [p.name for p in network.get_parameters()])
        names = [p.name for p in network.get_parameters()]
    (full_loss, full), (low_loss, low) = results
    assert low_loss != full_loss
    assert low_loss == pytest.approx(full_loss, rel=2e-3)
    # of all gradients together: those of early layers go through many roundings
    full, low = (np.concatenate([g.ravel() for g in grads]) for grads in (full, low))
    assert full @ low / np.linalg.norm(full) / np.linalg.norm(low) > 0.99


def test_bfloat16_is_refused_on_the_cpu():
    with pytest.raises(ValueError, match='bf16 is set, but MindSpore has no bfloat16'):
        use_low_precision(build(), ms.bfloat16)


@pytest.mark.parametrize(
    ('device', 'chip', 'refused'),
    [('Ascend', 'ascend910', True), ('Ascend', 'ascend910b', False), ('GPU', '', False)],
)
def test_bfloat16_is_refused_on_910a_alone_of_the_cards(device, chip, refused):
    layer = ConvModule(3, 4, 3)
    with assume_target(device, chip):
        if refused:
            with pytest.raises(ValueError, match='no bfloat16 convolutions on Ascend 910A: use a'):
                use_low_precision(layer, ms.bfloat16)
        else:
            use_low_precision(layer, ms.bfloat16)


def test_other_types_are_refused():
    with pytest.raises(ValueError, match='expected float16 or bfloat16'):
        use_low_precision(build(), ms.float64)
