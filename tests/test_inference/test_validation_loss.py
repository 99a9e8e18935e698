"""Losses on validation images, against numpy on a network that is two convolutions."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.apis.build import build_split
from msseg.apis.evaluate import evaluate
from msseg.apis.train import evaluation_of
from msseg.apis.train_settings import EvaluationSettings
from msseg.config import Config
from msseg.inference.inferencer import Inferencer, sliding_windows
from msseg.inference.validation_loss import LossInferencer
from msseg.models import build_segmentor
from msseg.models.builder import BACKBONES
from tests.test_apis.test_evaluate import discs
from tests.test_inference.test_inferencer import resize_by_hand
from tests.tiny import write_config, write_discs

HEAD = dict(
    type='FCNHead',
    in_channels=4,
    in_index=0,
    channels=4,
    num_convs=0,
    concat_input=False,
    dropout_ratio=0.5,
    num_classes=3,
)
NAMES = ['decode.loss_ce', 'decode.loss_dice', 'aux.loss_ce']


@BACKBONES.register_module()
class OneConvolution(nn.Cell):
    """Features at a quarter of the size."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, stride=4, pad_mode='valid')
        self.out_channels = [4]

    def construct(self, x):
        return (self.conv(x),)


def model_of(mode='whole', **options):
    losses = [dict(type='CrossEntropyLoss'), dict(type='DiceLoss', loss_weight=0.5)]
    weighted = dict(type='CrossEntropyLoss', loss_weight=0.4)
    windows = dict(crop_size=(32, 32), stride=(16, 24)) if mode == 'slide' else {}
    ms.set_seed(3)
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='OneConvolution'),
            decode_head=dict(HEAD, loss_decode=losses),
            auxiliary_head=dict(HEAD, loss_decode=weighted, align_corners=True),
            test_cfg=dict(mode=mode, **windows, **options),
        )
    )
    for parameter in model.get_parameters():
        rng = np.random.default_rng(len(parameter.name))
        value = rng.normal(scale=0.5, size=parameter.shape).astype(np.float32)
        parameter.set_data(ms.Tensor(value))
    return model


def sample(size=(48, 80), ori_size=None, seed=0):
    ori_size = ori_size or size
    rng = np.random.default_rng(seed)
    img = rng.normal(size=(3, *size)).astype(np.float32)
    gt = rng.integers(0, 3, ori_size).astype(np.uint8)
    gt[:5] = 255
    return img, {'ori_shape': (*ori_size, 3), 'flip': False, 'flip_direction': None}, gt


def losses_by_hand(model, img, gt, windows):
    """Each loss from the logits of every head, averaged over windows and resized to the label."""
    merged = [np.zeros((3, *img.shape[1:])), np.zeros((3, *img.shape[1:]))]
    count = np.zeros(img.shape[1:])
    for window in windows:
        crop = img[(slice(None), *window)]
        outputs = model.set_train(False)(ms.Tensor(crop[None]))
        for total, own, corners in zip(merged, outputs, (False, True), strict=True):
            logits = own.asnumpy()[0].astype(np.float64)
            total[(slice(None), *window)] += resize_by_hand(logits, crop.shape[1:], corners)
        count[window] += 1
    decode, aux = (
        resize_by_hand(total / count, gt.shape, corners)
        for total, corners in zip(merged, (False, True), strict=True)
    )
    dice = model.decode_head.loss_decode[1](
        ms.Tensor(decode[None], ms.float32), ms.Tensor(gt[None], ms.int32), None, 255
    )
    return [cross_entropy(decode, gt), float(dice.asnumpy()), 0.4 * cross_entropy(aux, gt)]


def cross_entropy(logits, gt):
    """MMSegmentation's mean, which counts ignored pixels."""
    shifted = logits - logits.max(0)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(0))
    valid = gt != 255
    picked = np.take_along_axis(log_probabilities, np.where(valid, gt, 0)[None], 0)[0]
    return -(picked * valid).sum() / gt.size


@pytest.mark.parametrize(
    ('mode', 'options'), [('whole', {}), ('slide', {}), ('slide', {'merge': 'exp_logits'})]
)
def test_losses_are_those_of_the_logits_that_predict(mode, options):
    model = model_of(mode, **options)
    inferencer, plain = LossInferencer(model), Inferencer(model)
    assert inferencer.names == NAMES
    sizes = [((48, 80), None), ((48, 80), (60, 100)), ((32, 32), None)]
    for seed, (size, ori_size) in enumerate(sizes):
        img, meta, gt = sample(size, ori_size, seed)
        labels = inferencer.labels([img], [meta])
        np.testing.assert_array_equal(labels, plain.labels([img], [meta]))
        everything = [(slice(0, size[0]), slice(0, size[1]))]
        windows = sliding_windows(size, (32, 32), (16, 24)) if mode == 'slide' else everything
        expected = losses_by_hand(model, img, gt, windows)
        np.testing.assert_allclose(inferencer.last_losses(gt), expected, rtol=1e-5)


def test_losses_that_need_fixed_sizes_are_computed_too():
    model = model_of()
    sampled = dict(HEAD, sampler=dict(type='OHEMPixelSampler', thresh=0.9, min_kept=50))
    model = build_segmentor(
        dict(type='EncoderDecoder', backbone=dict(type='OneConvolution'), decode_head=sampled)
    )
    inferencer = LossInferencer(model)
    assert inferencer.names == ['decode.loss_ce']
    for size in ((16, 16), (24, 16)):
        img, meta, gt = sample(size)
        inferencer.labels([img], [meta])
        logits = model.set_train(False)(ms.Tensor(img[None]))
        expected = model.losses(logits, ms.Tensor(gt[None], ms.int32))[0]
        assert inferencer.last_losses(gt)[0] == pytest.approx(float(expected.asnumpy()), rel=1e-5)


def test_a_single_output_channel():
    head = dict(HEAD, num_classes=2, out_channels=1, threshold=0.4)
    head['loss_decode'] = dict(type='CrossEntropyLoss', use_sigmoid=True)
    model = build_segmentor(
        dict(type='EncoderDecoder', backbone=dict(type='OneConvolution'), decode_head=head)
    )
    img, meta, _ = sample((16, 16))
    labels = LossInferencer(model).labels([img], [meta])
    np.testing.assert_array_equal(labels, Inferencer(model).labels([img], [meta]))


def test_the_mean_over_images_stands_among_the_scores(tmp_path):
    dataset = discs(write_discs(tmp_path, count=3), ann_dir='labels')
    dataset.CLASSES = ('ground', 'disc', 'nothing')
    inferencer = LossInferencer(model_of())
    losses = []
    for index in range(3):
        data = dataset[index]
        inferencer.labels(data['img'], data['img_metas'])
        losses.append(inferencer.last_losses(dataset.get_gt_seg_map(index)))
    scores = evaluate(inferencer, dataset, 0).as_dict()
    assert scores['loss'] == pytest.approx(np.mean(losses, axis=0).sum())
    assert [scores[name] for name in NAMES] == pytest.approx(list(np.mean(losses, axis=0)))
    plain = evaluate(Inferencer(inferencer._losses.segmentor), dataset, 0).as_dict()
    assert {key: value for key, value in scores.items() if 'loss' not in key} == pytest.approx(
        plain, nan_ok=True
    )


MORE = """
evaluation['loss'] = True
evaluation['save_best'] = 'loss'
model = dict(type='EncoderDecoder', backbone=dict(type='OneConvolution'), decode_head=dict(
    type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=1, num_classes=2))
"""


def test_a_config_asks_for_it(tmp_path):
    root = write_discs(tmp_path / 'data', count=2)
    cfg = Config.fromfile(write_config(tmp_path, root, MORE))
    model = build_segmentor(cfg.model)

    def prepare():
        return evaluation_of(model, build_split(cfg, 'val'), EvaluationSettings.of(cfg))

    evaluation = prepare()
    scores = evaluation['evaluate']()
    assert evaluation['save_best'] == 'loss'
    assert list(scores) == evaluation['reported']
    assert {'mIoU', 'loss', 'decode.loss_ce'} <= set(scores)

    cfg.evaluation.loss = 'yes'
    with pytest.raises(ValueError, match="evaluation: loss is 'yes', expected True or False"):
        prepare()
    cfg.evaluation.loss = True
    cfg.data.val.pipeline[1].flip = True
    with pytest.raises(ValueError, match='gives 2 scales and flips of each.*evaluation.loss=False'):
        prepare()
    cfg.evaluation.metric = ['mIoU', 'cityscapes']
    with pytest.raises(ValueError, match='data set is a CustomDataset, expected a Cityscapes'):
        prepare()
