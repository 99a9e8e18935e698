"""Components from a file outside the package, named in a config, train like the package's own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import write_config, write_discs

ROOT = Path(__file__).parents[2]
COMPONENTS = '''
import json

import mindspore as ms
from mindspore import nn, ops

from msseg.datasets import CustomDataset
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import HEADS, LOSSES
from msseg.models.decode_heads import BaseDecodeHead
from msseg.runner.builder import HOOKS
from msseg.runner.hooks import Hook


@DATASETS.register_module()
class DiscDataset(CustomDataset):
    CLASSES = ('ground', 'disc')
    PALETTE = ((0, 0, 0), (255, 200, 0))


@PIPELINES.register_module()
class Negative:
    def __call__(self, results):
        results['img'] = 255 - results['img']
        return results


@HEADS.register_module()
class PixelHead(BaseDecodeHead):
    """Classifies the finest feature map as it is."""

    def construct(self, inputs):
        return self.cls_seg(self.transform_inputs(inputs))


@LOSSES.register_module()
class BrierLoss(nn.Cell):
    """Mean over all pixels of the squared distance between probabilities and truth."""

    def __init__(self, loss_name='loss_brier'):
        super().__init__()
        self.loss_name = loss_name

    def construct(self, logits, labels, weight=None, ignore_index=255):
        truth = ops.equal(labels, 1).astype(ms.float32)
        valid = ops.not_equal(labels, ignore_index).astype(ms.float32)
        disc = ops.softmax(logits, axis=1)[:, 1]
        return (2 * (disc - truth) ** 2 * valid).mean()


@HOOKS.register_module()
class WitnessHook(Hook):
    """Writes down what it sees of the first and the last iteration."""

    def __init__(self, out):
        self.out = out
        self.seen = []

    def before_run(self, runner):
        self.start = runner.model.decode_head.conv_seg.weight.asnumpy().copy()

    def after_train_iter(self, runner):
        weight = runner.model.decode_head.conv_seg.weight.asnumpy()
        self.seen.append({
            'iter': runner.iter,
            'mean': float(runner.data_batch.img.mean()),
            'moved': float(abs(weight - self.start).max()),
            'dataset': list(runner.meta['CLASSES']),
        })

    def after_run(self, runner):
        with open(self.out, 'w') as file:
            json.dump(self.seen, file)
'''
CHANGES = """
custom_imports = dict(imports=['my_components'], allow_failed_imports=False)
model = dict(
    type='EncoderDecoder', pretrained=None, backbone=model['backbone'],
    decode_head=dict(
        type='PixelHead', in_channels=4, in_index=0, channels=4, num_classes=2,
        dropout_ratio=-1, loss_decode=dict(type='BrierLoss')),
    test_cfg=dict(mode='whole'))
train_pipeline.insert(2, dict(type='Negative'))
for split in ('train', 'val', 'test'):
    data[split].update(type='DiscDataset')
    del data[split]['classes'], data[split]['palette']
data.update(workers_per_gpu=1)
custom_hooks = [dict(type='WitnessHook', out=r'{out}')]
evaluation.update(save_best=None)
runner.update(max_iters=6)
log_config.update(interval=1)
"""


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Trains with tools/train.py; returns the folder."""
    folder = tmp_path_factory.mktemp('custom')
    (folder / 'my_components.py').write_text(COMPONENTS)
    changes = CHANGES.replace('{out}', str(folder / 'witness.json'))
    config = write_config(folder, write_discs(folder / 'data'), changes)
    command = [
        sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--seed', '0',
        '--work-dir', str(folder / 'run'), '--device', 'CPU',
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.fixture(scope='module')
def witness(run):
    """What the hook wrote down."""
    return json.loads((run / 'witness.json').read_text())


@pytest.fixture(scope='module')
def log(run):
    """The training lines of the JSON log."""
    lines = next((run / 'run').glob('*.log.json')).read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry for entry in entries if entry.get('mode') == 'train']


def test_hook_is_called_after_every_iteration(witness):
    assert [entry['iter'] for entry in witness] == [1, 2, 3, 4, 5, 6]


def test_dataset_gives_its_classes(witness):
    assert witness[0]['dataset'] == ['ground', 'disc']


def test_transform_runs_in_the_loader(witness):
    """Dark images turned to their negatives are brighter than the mean that is subtracted."""
    assert min(entry['mean'] for entry in witness) > 0


def test_loss_is_the_one_of_the_file(log):
    """Two classes that are equally likely cost 2 * 0.25 by Brier's score, before any training."""
    assert all(entry['loss'] == entry['decode.loss_brier'] for entry in log)
    assert log[0]['loss'] == pytest.approx(0.5, abs=0.1)


def test_head_learns(witness, log):
    moved = [entry['moved'] for entry in witness]
    assert 0 < moved[0] < moved[-1]
    assert np.isfinite([entry['loss'] for entry in log]).all()
    assert log[-1]['loss'] < log[0]['loss']
