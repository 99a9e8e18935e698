"""One tiny training run through the command line's own functions, and what can be done with it."""

import json
import re
import shutil
from functools import partial

import numpy as np
import pytest
from PIL import Image

from msseg import apis
from msseg.apis import load_config, train_from_config
from msseg.apis.test import check_test_options, set_aug_test
from msseg.apis.train_settings import refuse_unsupported
from msseg.config import Config
from msseg.reports.evaluation_report import EvaluationReport
from msseg.runner.checkpoint import load_checkpoint
from tests.tiny import ON_RESNET, write_config, write_discs


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of eight iterations: its folder, config path and runner."""
    folder = tmp_path_factory.mktemp('tiny')
    config = write_config(folder, write_discs(folder / 'data'), ON_RESNET)
    runner = train_from_config(load_config(config), folder / 'run', device='CPU', seed=0)
    return folder, config, runner


def last_validation(folder):
    lines = [json.loads(line) for line in next((folder / 'run').glob('*.log.json')).open()]
    return [line for line in lines if line.get('mode') == 'val'][-1]


def test_a_run_leaves_checkpoints_logs_and_its_config(trained):
    folder, _, runner = trained
    names = {path.name for path in (folder / 'run').iterdir()}
    stamp = runner.timestamp
    assert {'iter_4.ckpt', 'iter_8.ckpt', 'best_mIoU_iter_8.ckpt', 'last_checkpoint'} <= names
    assert {'tiny.py', f'{stamp}.log', f'{stamp}.log.json'} <= names
    assert load_config(folder / 'run' / 'tiny.py').runner.max_iters == 8


def test_the_loss_falls_and_every_head_is_logged(trained):
    folder, _, _ = trained
    lines = [json.loads(line) for line in next((folder / 'run').glob('*.log.json')).open()]
    train = [line for line in lines if line.get('mode') == 'train']
    assert train[-1]['loss'] < train[0]['loss']
    assert {'decode_0.loss_ce', 'decode_1.loss_ce', 'lr', 'time', 'data_time'} <= train[0].keys()
    total = train[0]['decode_0.loss_ce'] + train[0]['decode_1.loss_ce']
    assert train[0]['loss'] == pytest.approx(total, rel=1e-4)


def test_a_checkpoint_says_what_it_is_of(trained):
    folder, _, _ = trained
    meta = load_checkpoint(folder / 'run' / 'iter_8.ckpt').meta
    assert meta['CLASSES'] == ['ground', 'disc']
    assert meta['PALETTE'] == [[0, 0, 0], [255, 200, 0]]
    assert meta['iter'] == 8
    assert meta['seed'] == 0
    assert meta['versions'].keys() >= {'msseg', 'mindspore', 'numpy'}
    assert Config.fromstring(meta['config'], '.py').runner.max_iters == 8
    assert meta['best_scores'] == {
        'mIoU': [pytest.approx(last_validation(folder)['mIoU'], rel=1e-4), 'best_mIoU_iter_8.ckpt']
    }


def test_testing_agrees_with_training_to_the_last_digit_and_draws(trained, capsys, tmp_path):
    folder, config, _ = trained
    scores = apis.test_from_config(
        load_config(config),
        folder / 'run' / 'iter_8.ckpt',
        ['mIoU', 'mDice'],
        out=tmp_path / 'labels.npz',
        show_dir=tmp_path / 'shown',
        legend=False,
        format_dir=tmp_path / 'formatted',
        work_dir=tmp_path,
        report=partial(EvaluationReport, tmp_path / 'report'),
    )
    best = load_checkpoint(folder / 'run' / 'iter_8.ckpt').meta['best_scores']['mIoU'][0]
    assert scores.as_dict()['mIoU'] == best
    assert re.search(r'\| ground \| +\d+\.\d\d', capsys.readouterr().out)
    (saved,) = tmp_path.glob('eval_*.json')
    assert json.loads(saved.read_text())['metric']['mIoU'] == best
    page = (tmp_path / 'report' / 'report.html').read_text()
    assert f'<h1>tiny: mIoU {100 * best:.2f}</h1>' in page
    assert '<h2>Training</h2>' in page, 'with the curves of the run'

    labels = np.load(tmp_path / 'labels.npz')
    assert set(labels) == {f'disc_{i}' for i in range(6)}
    formatted = np.array(Image.open(tmp_path / 'formatted' / 'disc_3.png'))
    np.testing.assert_array_equal(formatted, labels['disc_3'])
    image = np.array(Image.open(folder / 'data' / 'images' / 'disc_3.png')).astype(int)
    shown = np.array(Image.open(tmp_path / 'shown' / 'disc_3.png')).astype(int)
    palette = np.array([[0, 0, 0], [255, 200, 0]])
    np.testing.assert_allclose(shown, (image + palette[labels['disc_3']]) / 2, atol=1)


def test_scores_are_kept_when_the_report_fails(trained, capsys, tmp_path, monkeypatch):
    folder, config, _ = trained

    def fail(*arguments):
        raise OSError('no space left')

    monkeypatch.setattr(EvaluationReport, 'write', fail)
    with pytest.raises(OSError, match='no space left'):
        apis.test_from_config(
            load_config(config), folder / 'run' / 'iter_8.ckpt', ['mIoU'], work_dir=tmp_path,
            report=partial(EvaluationReport, tmp_path / 'report'),
        )  # fmt: skip
    assert re.search(r'\| ground \| +\d+\.\d\d', capsys.readouterr().out)
    assert len(list(tmp_path.glob('eval_*.json'))) == 1


def test_resuming_goes_on_exactly(trained, tmp_path):
    folder, config, straight = trained
    shutil.copy(folder / 'run' / 'iter_4.ckpt', tmp_path)
    (tmp_path / 'last_checkpoint').write_text('iter_4.ckpt\n')
    resumed = train_from_config(
        load_config(config), tmp_path, device='CPU', seed=0, auto_resume=True, validate=False
    )
    assert resumed.iter == 8
    expected = load_checkpoint(folder / 'run' / 'iter_8.ckpt')
    actual = load_checkpoint(tmp_path / 'iter_8.ckpt')
    for name, expected_values in expected.weights.items():
        np.testing.assert_array_equal(actual.weights[name], expected_values, err_msg=name)
    assert any(name.startswith('optimizer.accum.') for name in expected.state)
    for name, expected_values in expected.state.items():
        np.testing.assert_array_equal(actual.state[name], expected_values, err_msg=name)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ("workflow = [('train', 1), ('val', 1)]", r"only \[\('train', 1\)\] is done"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        refuse_unsupported(Config.fromstring(settings, '.py'))


def test_each_of_several_test_sets_is_averaged_over_scales():
    steps = "[dict(type='LoadImageFromFile'), dict(type='MultiScaleFlipAug', img_scale=(8, 8))]"
    one = f"dict(type='CustomDataset', pipeline={steps})"
    for test in (one, f'[{one}, {one}]', f"dict(type='RepeatDataset', times=2, dataset={one})",
                 f"dict(type='ConcatDataset', datasets=[{one}, {one}])"):  # fmt: skip
        cfg = Config.fromstring(f'data = dict(test={test})', '.py')
        set_aug_test(cfg)
        assert repr(cfg.data.test).count("'img_ratios': [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]") == (
            test.count('CustomDataset')
        )
    cfg = Config.fromstring(f'data = dict(test=[{one}, dict(pipeline=[])])', '.py')
    with pytest.raises(ValueError, match=r'--aug-test .* data\.test\[1\]\.pipeline'):
        set_aug_test(cfg)


def test_a_pipeline_of_its_own_replaces_that_of_each_test_set():
    one = "dict(type='CustomDataset', pipeline=[dict(type='LoadImageFromFile')])"
    views = "[dict(type='MultiScaleFlipAug', img_ratios=[0.5], flip=True)]"
    text = f'data = dict(test=[{one}, {one}])\naug_test = dict(pipeline={views})'
    cfg = Config.fromstring(text, '.py')
    set_aug_test(cfg)
    assert [each.pipeline[0].img_ratios for each in cfg.data.test] == [[0.5], [0.5]]
    assert cfg.data.test[0].pipeline is not cfg.data.test[1].pipeline


def test_a_test_that_is_to_give_nothing_is_an_error():
    with pytest.raises(ValueError, match=r'nothing to do: ask for scores \(--eval mIoU\)'):
        check_test_options([], None, None, 0.5, None)
