"""The recipes are those of their sources: every number here is typed from these, not from configs.

Sources: HRNet-Semantic-Segmentation's experiments/*.yaml and lib/ (official); MMSegmentation 0.30;
PaddleSeg's configs/ocrnet and configs/_base_/cityscapes.yml; NVIDIA's scripts/train_cityscapes.yml;
the MindSpore model zoo's research/cv/OCRNet (configuration table and scripts).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.apis.config_schema import load_config
from msseg.models import build_loss, build_pixel_sampler, build_segmentor
from msseg.runner.optimizer import build_optimizer
from msseg.runner.schedules import get_policy

ROOT = Path(__file__).parents[2]
CITYSCAPES_WEIGHTS = [
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
    0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
]  # fmt: skip
TENTHS = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1]


def poly(power, end=0.0):
    return lambda lr, done, _: (lr - end) * (1 - done) ** power + end


@dataclass
class Recipe:
    """What a source says; the defaults are OCRNet's authors' for Cityscapes."""

    lr: float = 0.01
    head_lr_mult: float = 1.0
    weight_decay: float = 5e-4
    schedule: object = poly(0.9)
    by_epoch: bool = False
    length: int = 484  # epochs, or iterations from 10000
    batch_of_device: int = 3
    loss_weights: tuple = (0.4, 1.0)
    lovasz: float = 0.0
    normaliser: tuple = ('weights', 'weights')
    class_weight: list | None = None
    num_classes: int = 19
    crop: tuple = (512, 1024)
    long_edges: list | None = None
    align_corners: bool = True
    bias: bool = True
    dropout: float = 0.05
    backbone_std: float | None = 0.001  # None: PyTorch's default
    head_std: float | None = None


OFFICIAL = Recipe(class_weight=CITYSCAPES_WEIGHTS, long_edges=[2048 * t for t in TENTHS])
MODEL_ZOO = replace(
    OFFICIAL, lr=0.0013, schedule=lambda lr, _, step: lr / np.exp(4e-10 * step**2), length=1000,
    batch_of_device=4, bias=False,
)  # fmt: skip
SQUARE = dict(crop=(520, 520), long_edges=[520 * t for t in TENTHS], class_weight=None)
PADDLESEG = replace(
    OFFICIAL, weight_decay=4e-5, length=160000, batch_of_device=2, class_weight=None,
    normaliser=('valid', 'valid'), align_corners=False, dropout=0.1, head_std=0.001,
    long_edges=[2048 * s for s in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)],
)  # fmt: skip
MMSEG = Recipe(
    schedule=poly(0.9, 1e-4), batch_of_device=2, normaliser=('all', 'all'), align_corners=False,
    bias=False, dropout=0.0, backbone_std=float('nan'), head_std=float('nan'),
)  # fmt: skip
RECIPES = {
    'hr48_512x1024_484e_cityscapes-official': OFFICIAL,
    'hr48_520x520_120e_ade20k-official': replace(
        OFFICIAL, lr=0.02, weight_decay=1e-4, length=120, batch_of_device=4, num_classes=150,
        normaliser=('all', 'kept'), **SQUARE,
    ),
    'hr48_520x520_110e_coco-stuff10k-official': replace(
        OFFICIAL, lr=0.001, head_lr_mult=10, weight_decay=1e-4, length=110, batch_of_device=4,
        num_classes=171, normaliser=('all', 'kept'), **SQUARE,
    ),
    'hr48_520x520_200e_pascal-context-59-official': replace(
        OFFICIAL, lr=0.001, head_lr_mult=10, weight_decay=1e-4, length=200, batch_of_device=4,
        num_classes=59, normaliser=('valid', 'valid'), **SQUARE,
    ),
    'hr48_473x473_150e_lip-official': replace(
        OFFICIAL, lr=0.007, length=150, batch_of_device=10, num_classes=20, crop=(473, 473),
        normaliser=('valid', 'valid'), class_weight=None, long_edges=[473 * t for t in TENTHS[:12]],
    ),
    'hr48_512x1024_160k_cityscapes-paddleseg': PADDLESEG,
    'hr18_512x1024_160k_cityscapes-paddleseg-lovasz': replace(PADDLESEG, lovasz=0.2),
    'hr48_1024x2048_175e_cityscapes-nvidia-rmi': replace(
        OFFICIAL, lr=5e-3, weight_decay=1e-4, schedule=poly(2), by_epoch=True, length=175,
        batch_of_device=1, class_weight=None, normaliser=('rmi', 'rmi'), crop=(1024, 2048),
        align_corners=False, backbone_std=None, long_edges=None,
    ),
    'hr48_512x1024_1000e_cityscapes-model-zoo': MODEL_ZOO,
    'hr48_512x1024_1000e_cityscapes-model-zoo-as-run': replace(
        MODEL_ZOO, weight_decay=0.0, loss_weights=(4.0, 10.0)
    ),
    **{
        f'{width}_512x1024_{k}k_cityscapes': replace(MMSEG, length=1000 * k)
        for width in ('hr18s', 'hr18', 'hr48') for k in (40, 80, 160)
    },
    **{
        f'{width}_512x512_{k}k_{name}': replace(
            MMSEG, length=1000 * k, batch_of_device=4, num_classes=n, crop=(512, 512)
        )
        for width in ('hr18s', 'hr18', 'hr48')
        for name, k, n in (('ade20k', 160, 150), ('voc12aug', 40, 21))
    },
}  # fmt: skip
NAMES = list(RECIPES)


@functools.cache
def load(name):
    return load_config(str(ROOT / f'configs/ocrnet/ocrnet_{name}.py'))


@functools.cache
def shrunk_model(name):
    """The recipe's model with few, narrow layers: its options are what matters here."""
    cfg = load(name).model.copy()
    widths = [8, 16, 32, 64]
    for i, stage in enumerate(('stage1', 'stage2', 'stage3', 'stage4')):
        count = i + 1
        cfg.backbone.extra[stage].update(
            num_modules=1, num_blocks=(1,) * count, num_channels=tuple(widths[:count])
        )
    for head, channels in zip(cfg.decode_head, (120, 64), strict=True):
        head.update(in_channels=widths, channels=channels, norm_cfg=dict(type='BN'))
    cfg.decode_head[1].ocr_channels = 32
    cfg.backbone.norm_cfg = dict(type='BN')
    return build_segmentor(cfg)


def test_every_recipe_is_in_the_table():
    found = {path.stem.removeprefix('ocrnet_') for path in ROOT.glob('configs/ocrnet/*.py')}
    small = {name for name in found if 'camvid' in name or 'synthetic' in name}
    assert found - small == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_over_training(name):
    recipe, cfg = RECIPES[name], load(name)
    by_iteration = recipe.length >= 10000
    runner = dict(type='IterBasedRunner', max_iters=recipe.length)
    if not by_iteration:
        runner = dict(type='EpochBasedRunner', max_epochs=recipe.length)
    assert cfg.runner == runner
    arguments = dict(cfg.lr_config)
    policy = get_policy(arguments.pop('policy'))
    assert arguments.pop('by_epoch') == recipe.by_epoch
    # 247 batches of 12 or so in each of Cityscapes' epochs, where those are counted
    total = recipe.length * (1 if by_iteration or recipe.by_epoch else 247)
    for step in (0, 1, total // 3, total - 1):
        expected = recipe.schedule(recipe.lr, step / total, step)
        assert policy(cfg.optimizer.lr, step, total, **arguments) == pytest.approx(expected)
    assert cfg.data.samples_per_gpu == recipe.batch_of_device
    assert not cfg.optimizer_config.get('grad_clip')


@pytest.mark.parametrize('name', NAMES)
def test_weight_decay_and_rate_of_every_parameter(name):
    recipe, cfg, model = RECIPES[name], load(name), shrunk_model(name)
    assert cfg.optimizer.type == 'SGD' and cfg.optimizer.momentum == 0.9
    optimizer = build_optimizer(model, cfg.optimizer)
    names = {id(parameter): key for key, parameter in model.parameters_and_names()}
    seen = 0
    for group in optimizer.param_groups:
        assert group['weight_decay'] == pytest.approx(recipe.weight_decay, rel=1e-6)
        assert group['dampening'] == (0.0005 if name.endswith('as-run') else 0)
        assert not group['nesterov']
        for parameter in group['params']:
            in_head = names[id(parameter)].startswith('decode_head.')
            expected = recipe.lr * (recipe.head_lr_mult if in_head else 1)
            assert float(group['lr'].asnumpy()) == pytest.approx(expected, rel=1e-6)
            seen += 1
    assert seen == len(model.trainable_params()) > 100


@pytest.mark.parametrize('name', NAMES)
def test_losses_and_what_they_are_divided_by(name):
    recipe, cfg = RECIPES[name], load(name)
    rng = np.random.default_rng(0)
    count = recipe.num_classes
    logits = rng.normal(size=(2, count, 5, 6)).astype(np.float32)
    labels = rng.integers(0, count, (2, 5, 6)).astype(np.int32)
    np.put_along_axis(logits, labels[:, None], rng.uniform(0, 15, (2, 1, 5, 6)), 1)
    labels[rng.random(labels.shape) < 0.3] = 255
    for head, how, weight in zip(
        cfg.model.decode_head, recipe.normaliser, recipe.loss_weights, strict=True
    ):
        losses = head.loss_decode if recipe.lovasz else [head.loss_decode]
        loss, *others = [build_loss(each) for each in losses]
        assert [type(each).__name__ for each in others] == ['LovaszLoss'] * (recipe.lovasz > 0)
        assert all(each.loss_weight == pytest.approx(weight * recipe.lovasz) for each in others)
        weight = weight * (1 - recipe.lovasz)
        assert loss.loss_weight == pytest.approx(weight) and head.num_classes == count
        assert losses[0].get('class_weight') == recipe.class_weight
        assert (head.get('sampler') is not None) == (how == 'kept')
        if how == 'rmi':
            assert type(loss).__name__ == 'RMILoss' and loss.do_rmi == (weight == 1)
            continue
        weights = None
        if how == 'kept':
            assert head.sampler.thresh == 0.9
            assert head.sampler.min_kept * cfg.data.samples_per_gpu == 131072
            sampler = build_pixel_sampler({**head.sampler, 'min_kept': 2})
            weights = sampler(ms.Tensor(logits), ms.Tensor(labels), None)
        value = loss(ms.Tensor(logits), ms.Tensor(labels), weight=weights)
        expected = weight * loss_by_hand(logits, labels, how, recipe.class_weight)
        assert float(value) == pytest.approx(expected, rel=1e-5)


def loss_by_hand(logits, labels, how, class_weight):
    total = divisor = 0.0
    for n, y, x in np.ndindex(labels.shape):
        label, scores = labels[n, y, x], logits[n, :, y, x].astype(np.float64)
        if how == 'all':
            divisor += 1
        if label == 255:
            continue
        probability = np.exp(scores[label]) / np.exp(scores).sum()
        if how == 'kept' and probability >= 0.9:
            continue
        factor = class_weight[label] if how == 'weights' else 1.0
        total -= factor * np.log(probability)
        divisor += factor if how != 'all' else 0
    return total / divisor


@pytest.mark.parametrize('name', NAMES)
def test_alignment_biases_dropout_and_initial_weights(name):
    recipe, cfg, model = RECIPES[name], load(name), shrunk_model(name)
    assert cfg.model.backbone.get('align_corners', False) == recipe.align_corners
    assert model.align_corners == recipe.align_corners
    fcn, ocr = model.decode_head
    assert (fcn.align_corners, ocr.align_corners) == (recipe.align_corners,) * 2
    assert ocr.object_context_block.align_corners == recipe.align_corners
    parameters = {key: value.asnumpy() for key, value in model.parameters_and_names()}
    before_norm = {'decode_head.0.convs.0.conv.bias', 'decode_head.1.bottleneck.conv.bias'}
    last = {'decode_head.0.conv_seg.bias', 'decode_head.1.conv_seg.bias'}
    biases = {key for key in parameters if key.endswith('.bias')}
    assert biases == (last | before_norm if recipe.bias else last)
    assert fcn.dropout is None
    assert (ocr.dropout.ratio if ocr.dropout else 0.0) == recipe.dropout
    for part, std in (('backbone.', recipe.backbone_std), ('decode_head.', recipe.head_std)):
        weights = [w for k, w in parameters.items() if k.startswith(part) and w.ndim == 4]
        if std is None:
            spread = np.concatenate([w.ravel() * np.sqrt(np.prod(w.shape[1:])) for w in weights])
            assert 0.95 < abs(spread).max() <= 1.0001
            assert spread.std() == pytest.approx(3**-0.5, rel=0.05)
        elif not np.isnan(std):
            spread = np.concatenate([w.ravel() for w in weights])
            is_cut = 'model-zoo' in name and part == 'backbone.'
            assert spread.std() == pytest.approx(std * (0.88 if is_cut else 1), rel=0.03)
            assert (abs(spread).max() <= 2 * std * 1.0001) == is_cut


@pytest.mark.parametrize('name', NAMES)
def test_crops_scales_and_padding(name):
    recipe, cfg = RECIPES[name], load(name)
    pipeline = cfg.data.train.pipeline
    steps = {step.type: step for step in pipeline}
    order = [step.type for step in pipeline]
    assert tuple(steps['RandomCrop'].crop_size) == tuple(steps['Pad'].size) == recipe.crop
    if recipe.long_edges is None:
        assert steps['Resize'].ratio_range == (0.5, 2.0)
    else:
        assert steps['Resize'].multiscale_mode == 'value' and 'ratio_range' not in steps['Resize']
        edges = [max(scale) for scale in steps['Resize'].img_scale]
        assert edges == [int(edge + 0.5) for edge in recipe.long_edges]
    is_official = 'official' in name or 'model-zoo' in name
    assert (order.index('Pad') < order.index('Normalize')) == is_official
    assert ('PhotoMetricDistortion' in order) != is_official
    is_mmseg = not is_official and 'paddleseg' not in name and 'nvidia' not in name
    assert steps['RandomCrop'].get('cat_max_ratio', 1.0) == (0.75 if is_mmseg else 1.0)
    assert steps['Normalize'].std == ([127.5] * 3 if 'paddle' in name else [58.395, 57.12, 57.375])
