"""PoolFormer."""

import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.models import build_backbone, build_segmentor
from msseg.models.backbones.poolformer import PoolFormer, PoolFormerBlock
from tests.test_models.family_checks import image

ARCH = dict(layers=[1, 2], embed_dims=[4, 8], mlp_ratios=[2, 2], layer_scale_init_value=0.5)
SMALL = dict(type='mmcls.PoolFormer', arch=ARCH, out_indices=(0, 2))


def test_places_are_stages_and_the_steps_between_them():
    backbone = build_backbone(dict(SMALL, out_indices=(-1, 0, 1))).set_train(False)
    assert backbone.out_channels == [4, 8, 8]
    assert [m.shape for m in backbone(image(33, 57))] == [
        (1, 4, 8, 14), (1, 8, 4, 7), (1, 8, 4, 7)
    ]  # fmt: skip


def test_stages_of_equal_channels_have_no_step_between_them():
    backbone = build_backbone(dict(SMALL, arch=dict(ARCH, embed_dims=[4, 4]), out_indices=(0, 1)))
    assert len(backbone.network) == 2
    assert backbone.set_train(False)(image(32, 32))[1].shape == (1, 4, 8, 8)


def test_architectures_are_chosen_by_name():
    with no_init_parameters():
        backbone = build_backbone(dict(type='PoolFormer', arch='s24'))
    assert isinstance(backbone, PoolFormer)
    assert [len(backbone.network[i]) for i in (0, 2, 4, 6)] == [4, 4, 12, 4]
    assert (backbone.out_indices, backbone.out_channels) == ((6,), [512])
    assert float(backbone.network[0][0].layer_scale_1[0]) == pytest.approx(1e-5)


def test_a_constant_map_is_its_own_average():
    """The mixing branch is 0 without zeros from beyond the border."""
    block = PoolFormerBlock(4, 5, layer_scale_init_value=1.0).set_train(False)
    x = image(6, 7, channels=4)
    y = block.norm1(x) * 0 + 3.0
    np.testing.assert_allclose((block.pool(y) - y).asnumpy(), 0, atol=1e-6)


def test_places_freeze_and_the_patches_with_them():
    def trained(frozen_stages):
        backbone = build_backbone(dict(SMALL, frozen_stages=frozen_stages, drop_rate=0.5))
        names = [name for name, p in backbone.parameters_and_names() if p.requires_grad]
        return {'.'.join(name.split('.')[: 2 if name.startswith('network') else 1])
                for name in names}  # fmt: skip

    everything = {'patch_embed', 'network.0', 'network.1', 'network.2', 'norm0', 'norm2'}
    assert trained(-1) == everything
    assert trained(0) == everything - {'patch_embed'}
    assert trained(2) == {'network.2', 'norm2'}
    backbone = build_backbone(dict(SMALL, frozen_stages=3, drop_rate=0.5, drop_path_rate=0.5))
    x = image(16, 16, n=4)
    backbone.set_train()
    np.testing.assert_array_equal(backbone(x)[1].asnumpy(), backbone(x)[1].asnumpy())


def test_a_too_small_image_is_refused():
    head = dict(type='FCNHead', in_channels=8, in_index=1, channels=4, num_classes=3)
    model = build_segmentor(dict(type='EncoderDecoder', backbone=SMALL, decode_head=head))
    with pytest.raises(ValueError, match=r'PoolFormer.*at least \(3, 3\)'):
        model.check_image_size((2, 64))
    assert build_backbone(SMALL).set_train(False)(image(3, 4))[1].shape == (1, 8, 1, 1)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(arch='s13'), "arch is 's13'.*Did you mean 's"),
        (dict(arch=dict(layers=[1])), "arch: the key 'embed_dims' is missing"),
        (dict(arch=dict(ARCH, mlp_ratios=[2])), 'arch.mlp_ratios.*2 numbers, as many as layers'),
        (dict(out_indices=(0, 3)), 'out_indices.*numbers from -3 to 2'),
        (dict(frozen_stages=4), 'frozen_stages.*4.*at most the 3 stages and steps'),
        (dict(pool_size=2), 'pool_size.*2.*an odd number'),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises((ValueError, TypeError, KeyError), match=message):
        build_backbone({**SMALL, **changes})
