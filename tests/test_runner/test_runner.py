import json
import math
import struct

import cv2
import numpy as np
import pytest

from msseg.registry import Registry
from msseg.runner import HOOKS, EpochBasedRunner, Hook, IterBasedRunner
from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.find_checkpoint import find_last_checkpoint
from msseg.runner.hooks import (
    CheckpointHook,
    EvalHook,
    IterTimerHook,
    LrUpdaterHook,
    NaNGuardHook,
    TextLoggerHook,
)
from tests.test_runner.line_model import Loader


class Recorder(Hook):
    """Notes every point it is called at, with the runner's counters."""

    def __init__(self, name='', notes=None):
        self.name, self.notes = name, [] if notes is None else notes

    def before_run(self, runner):
        self._note('before_run', runner)

    def after_run(self, runner):
        self._note('after_run', runner)

    def before_epoch(self, runner):
        self._note('before_epoch', runner)

    def after_epoch(self, runner):
        self._note('after_epoch', runner)

    def before_iter(self, runner):
        self._note('before_iter', runner)

    def after_iter(self, runner):
        self._note('after_iter', runner)

    def _note(self, point, runner):
        self.notes.append((self.name + point, runner.iter, runner.epoch))


def weights(runner):
    return {p.name: p.asnumpy().copy() for p in runner.model.get_parameters()}


def test_hooks_are_called_at_their_points_with_completed_counts(make_runner):
    runner = make_runner(max_iters=3, loader=Loader(iters_per_epoch=2))
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.run()
    assert recorder.notes == [
        ('before_run', 0, 0),
        ('before_epoch', 0, 0),
        ('before_iter', 0, 0),
        ('after_iter', 1, 0),
        ('before_iter', 1, 0),
        ('after_iter', 2, 1),
        ('after_epoch', 2, 1),
        ('before_epoch', 2, 1),
        ('before_iter', 2, 1),
        ('after_iter', 3, 1),
        ('after_run', 3, 1),
    ]


def test_hooks_of_higher_priority_come_first_and_equals_in_order(make_runner):
    runner, notes = make_runner(max_iters=1), []
    for name, priority in [('low', 'LOW'), ('a', 'NORMAL'), ('high', 10), ('b', 'NORMAL')]:
        runner.register_hook(Recorder(name, notes), priority)
    assert [hook.name for hook in runner.hooks] == ['high', 'a', 'b', 'low']


def test_hook_of_a_config_brings_its_priority(make_runner):
    runner = make_runner(max_iters=1)
    runner.register_hook({'type': 'NaNGuardHook', 'interval': 5})
    runner.register_hook({'type': 'IterTimerHook', 'priority': 'HIGH'})
    assert [type(hook) for hook in runner.hooks] == [IterTimerHook, NaNGuardHook]


def test_wrong_hooks(make_runner):
    runner = make_runner(max_iters=1)
    with pytest.raises(ValueError, match="priority is 'NORMALL', expected.*Did you mean 'NORMAL'"):
        runner.register_hook(Recorder(), 'NORMALL')
    with pytest.raises(TypeError, match='must be a msseg.runner.hooks.Hook'):
        runner.register_hook(print)
    with pytest.raises(KeyError, match="Did you mean 'NaNGuardHook'"):
        runner.register_hook({'type': 'NanGuardHook'})


def test_epochs_and_iterations_are_two_ways_to_say_the_end(make_runner):
    by_iter, by_epoch = make_runner(max_iters=9), make_runner(max_epochs=3)
    assert (by_iter.max_iters, by_iter.max_epochs) == (9, 3)
    assert (by_epoch.max_iters, by_epoch.max_epochs) == (12, 3)
    assert isinstance(by_iter, IterBasedRunner)
    assert isinstance(by_epoch, EpochBasedRunner)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'exactly one of max_iters and max_epochs'),
        ({'max_iters': 0}, r'max_iters is 0, expected a whole number of at least 1'),
        ({'max_epochs': 1.5}, r'max_epochs is 1\.5'),
    ],
)
def test_wrong_lengths(make_runner, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_runner(**arguments)


def test_after_run_is_called_when_training_fails(make_runner):
    runner, recorder = make_runner(max_iters=3, loader=Loader(poison_at=1)), Recorder()
    runner.register_hook(recorder)
    runner.register_hook(NaNGuardHook(interval=1), 'HIGH')
    with pytest.raises(FloatingPointError):
        runner.run()
    assert recorder.notes[-1] == ('after_run', 2, 0)


def test_nan_guard_names_the_files_and_nothing_bad_is_saved(make_runner, tmp_path):
    runner = make_runner(max_iters=4, loader=Loader(poison_at=2))
    runner.register_hook(NaNGuardHook(), 'HIGH')
    runner.register_hook(CheckpointHook(interval=1, by_epoch=False))
    with pytest.raises(FloatingPointError, match=r'loss is nan in iteration 3.*image_2_0\.png'):
        runner.run()
    assert find_last_checkpoint(tmp_path).name == 'iter_2.ckpt'
    assert all(np.isfinite(p).all() for p in load_checkpoint(
        tmp_path / 'iter_2.ckpt').weights.values())  # fmt: skip


def test_learning_rate_is_set_before_each_iteration(make_runner):
    runner, seen = make_runner(max_iters=4), []

    class Look(Hook):
        def before_iter(self, runner):
            seen.append(runner.current_lr()[0])

    runner.register_hook(LrUpdaterHook('poly', by_epoch=False, power=1.0), 'VERY_HIGH')
    runner.register_hook(Look())
    runner.run()
    assert seen == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_schedule_by_epoch_with_warmup_in_iterations(make_runner):
    runner = make_runner(max_epochs=2)
    hook = LrUpdaterHook('step', step=1, warmup='linear', warmup_iters=2, warmup_ratio=0.5)
    rates = []
    for iteration in range(8):
        runner.iter = iteration
        rates += hook.lrs(runner)
    assert rates == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01])


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'policy': 'poly', 'powr': 1}, TypeError, "no argument 'powr'.*Did you mean 'power'"),
        ({'policy': 'poly', 'warmup': 'lin'}, ValueError, "warmup is 'lin'"),
        ({'policy': 'poly', 'warmup': 'linear'}, ValueError, 'warmup_iters is 0'),
        (
            {'policy': 'poly', 'warmup': 'exp', 'warmup_iters': 3, 'warmup_ratio': 0},
            ValueError,
            'warmup_ratio is 0',
        ),
    ],
)
def test_wrong_schedules(arguments, error, message):
    with pytest.raises(error, match=message):
        LrUpdaterHook(**arguments)


def test_checkpoints_count_completed_iterations_and_only_the_newest_are_kept(make_runner, tmp_path):
    runner = make_runner(max_iters=7)
    runner.register_hook(CheckpointHook(interval=2, by_epoch=False, max_keep_ckpts=2))
    runner.run()
    names = sorted(path.name for path in tmp_path.glob('*.ckpt'))
    assert names == ['iter_6.ckpt', 'iter_7.ckpt']
    assert load_checkpoint(tmp_path / 'iter_7.ckpt').meta['iter'] == 7
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_7.ckpt\n'


def test_checkpoints_by_epoch(make_runner, tmp_path):
    runner = make_runner(max_epochs=3)
    runner.register_hook(CheckpointHook(interval=2, save_last=False))
    runner.run()
    assert [path.name for path in tmp_path.glob('*.ckpt')] == ['epoch_2.ckpt']


def test_resume_continues_bit_exactly(make_runner, tmp_path):
    optimizer = {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.1}
    straight = make_runner(max_iters=6, optimizer=optimizer)
    straight.register_hook(LrUpdaterHook('poly', by_epoch=False), 'VERY_HIGH')
    straight.register_hook(CheckpointHook(interval=3, by_epoch=False))
    straight.run()

    resumed = make_runner(max_iters=6, optimizer=optimizer, work_dir=tmp_path)
    resumed.register_hook(LrUpdaterHook('poly', by_epoch=False), 'VERY_HIGH')
    resumed.resume(tmp_path / 'iter_3.ckpt')
    assert resumed.iter == 3
    resumed.run()
    expected = weights(straight)
    assert expected.keys() == weights(resumed).keys()
    for name, value in weights(resumed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def scores_in_turn(*scores):
    remaining = iter(scores)
    return lambda: {'mIoU': next(remaining), 'IoU.nucleus': 0.5}


def test_best_checkpoint_is_kept_and_survives_resume(make_runner, tmp_path):
    runner = make_runner(max_iters=4)
    evaluate = scores_in_turn(math.nan, 0.4, 0.6, 0.5)
    reported = ['aAcc', 'mIoU', 'IoU.nucleus']
    runner.register_hook(EvalHook(evaluate, reported, 1, by_epoch=False, save_best='mIoU'), 'LOW')
    runner.register_hook(CheckpointHook(by_epoch=False), 'VERY_LOW')
    runner.run()
    assert [path.name for path in tmp_path.glob('best*')] == ['best_mIoU_iter_3.ckpt']

    resumed = make_runner(max_iters=6)
    evaluate = scores_in_turn(0.55, 0.7)
    resumed.register_hook(EvalHook(evaluate, reported, 1, by_epoch=False, save_best='auto'), 'LOW')
    resumed.resume(tmp_path / 'iter_4.ckpt')
    resumed.run()
    assert resumed.best_scores == {'mIoU': (0.7, 'best_mIoU_iter_6.ckpt')}
    assert [path.name for path in tmp_path.glob('best*')] == ['best_mIoU_iter_6.ckpt']


def test_a_best_score_over_some_classes_only_is_announced_with_them(make_runner, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    runner = make_runner(max_iters=1)
    left_out = {'mIoU': 'over 1 of 2 classes: road has no labelled pixel'}
    hook = EvalHook(
        scores_in_turn(1.0), ['mIoU'], by_epoch=False, save_best='mIoU', coverage=left_out.get
    )
    runner.register_hook(hook)
    runner.run()
    assert (tmp_path / 'best_mIoU_iter_1.ckpt').exists()
    expected = 'mIoU 1.0000 over 1 of 2 classes: road has no labelled pixel'
    assert expected in caplog.text


def test_a_score_that_does_not_exist_is_no_best_and_shown_as_such(make_runner, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    runner = make_runner(max_iters=1)
    runner.register_hook(TextLoggerHook(interval=1, by_epoch=False))
    hook = EvalHook(scores_in_turn(math.nan), ['mIoU'], by_epoch=False, save_best='mIoU')
    runner.register_hook(hook)
    runner.run()
    assert 'no best checkpoint is saved: the score mIoU of evaluation.save_best' in caplog.text
    assert 'mIoU: n/a' in caplog.text and 'nan' not in caplog.text
    assert not list(tmp_path.glob('best*'))


@pytest.mark.parametrize(
    ('key', 'name'),
    [
        ('IoU.tv/monitor', 'best_IoU.tv_monitor_iter_1.ckpt'),
        ('IoU.a\\b:c*?"<d>|', 'best_IoU.a_b_c____d___iter_1.ckpt'),
        ('IoU.../up', 'best_IoU..._up_iter_1.ckpt'),
        ('IoU.\0\n', 'best_IoU.___iter_1.ckpt'),
        ('IoU.' + '细胞' * 100, f'best_IoU.{"细胞" * 24}_iter_1.ckpt'),
    ],
)
def test_the_best_of_any_class_name_has_a_file(make_runner, tmp_path, key, name):
    runner = make_runner(max_iters=1)
    hook = EvalHook(lambda: {key: 0.5}, [key], by_epoch=False, save_best=key)
    runner.register_hook(hook)
    runner.run()
    assert [path.name for path in tmp_path.glob('**/best*')] == [name]
    assert runner.best_scores == {key: (0.5, name)}


@pytest.mark.parametrize(
    ('reported', 'key'),
    [
        (['0_aAcc', '0_mIoU', '1_mIoU', 'loss'], '0_mIoU'),
        (['aAcc', 'mDice', 'mAcc'], 'mDice'),
        (['averageScoreClasses'], 'averageScoreClasses'),
    ],
)
def test_auto_is_the_first_mean_over_classes(reported, key):
    assert EvalHook(dict, reported, save_best='auto').save_best == key


def test_evaluation_starts_where_it_is_told_and_less_can_be_better(make_runner, tmp_path):
    runner, calls = make_runner(max_iters=8), []

    def evaluate():
        calls.append(runner.iter)
        return {'loss_val': -runner.iter if runner.iter < 7 else 0.0}

    hook = EvalHook(evaluate, ['loss_val'], 2, start=3, by_epoch=False, save_best='loss_val')
    runner.register_hook(hook)
    runner.run()
    assert calls == [3, 5, 7]
    assert runner.best_scores == {'loss_val': (-5, 'best_loss_val_iter_5.ckpt')}


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'save_best': 'miou'}, KeyError, "save_best is 'miou'.*Did you mean 'mIoU'"),
        ({'interval': 0}, ValueError, r'EvalHook: interval is 0'),
        ({'rule': 'more'}, ValueError, r"EvalHook: rule is 'more'"),
    ],
)
def test_wrong_evaluation(arguments, error, message):
    with pytest.raises(error, match=message):
        EvalHook(dict, ['mIoU'], **arguments)


@pytest.mark.parametrize('name', ['interval', 'max_keep_ckpts'])
def test_wrong_checkpointing(name):
    with pytest.raises(ValueError, match=rf'CheckpointHook: {name} is 0'):
        CheckpointHook(**{name: 0})


def test_logs_average_over_the_interval_and_state_positions(make_runner, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    runner, losses = make_runner(max_iters=4), []

    class Losses(Hook):
        def after_iter(self, runner):
            losses.append(float(runner.outputs['loss'].asnumpy()))
            runner.iter_values['extra'] = 7.0

    runner.register_hook(Losses())
    runner.register_hook(IterTimerHook(), 'ABOVE_NORMAL')
    runner.register_hook(TextLoggerHook(interval=2, by_epoch=False), 'BELOW_NORMAL')
    scores = scores_in_turn(0.25, math.nan)
    runner.register_hook(EvalHook(scores, ['mIoU'], 2, by_epoch=False), 'LOW')
    runner.run()
    lines = [json.loads(line) for line in next(tmp_path.glob('*.log.json')).open()]
    assert lines[0] == {'seed': 1}
    assert [(line['mode'], line['iter'], line['epoch']) for line in lines[1:]] == [
        ('train', 2, 1),
        ('val', 2, 1),
        ('train', 4, 1),
        ('val', 4, 1),
    ]
    train, val = lines[3], lines[4]
    assert train['loss'] == pytest.approx(np.mean(losses[2:]), rel=1e-4)
    assert {'lr', 'memory', 'time', 'data_time', 'line.loss_mean'} <= train.keys()
    assert train['extra'] == 7.0
    assert 0 <= train['data_time'] <= train['time']
    assert lines[2]['mIoU'] == 0.25
    assert val['mIoU'] is None
    text = caplog.text
    assert 'Iter [2/4]\tlr: 1.000e-01, eta: 0:00:0' in text
    assert 'Iter(val) [4/4]\tmIoU: n/a' in text


def test_logs_by_epoch_count_within_the_epoch(make_runner, tmp_path, caplog):
    caplog.set_level('INFO', logger='msseg')
    runner = make_runner(max_epochs=2, loader=Loader(iters_per_epoch=3))
    runner.register_hook(TextLoggerHook(interval=2, ignore_last=False))
    runner.run()
    positions = [record.message.split('\t')[0] for record in caplog.records]
    assert positions == ['Epoch [1][2/3]', 'Epoch [1][3/3]', 'Epoch [2][2/3]', 'Epoch [2][3/3]']


def test_tensorboard_curves(make_runner, tmp_path):
    runner = make_runner(max_iters=2)
    runner.register_hook({'type': 'TensorboardLoggerHook', 'interval': 1})
    runner.run()
    (file,) = (tmp_path / 'tf_logs').iterdir()
    assert '.tfevents.' in file.name
    first, *points = read_events(file.read_bytes())
    assert first.file_version == 'brain.Event:2'
    curve = [(p.step, p.summary.value[0].simple_value) for p in points if is_loss(p)]
    assert [step for step, _ in curve] == [1, 2]
    assert curve[1][1] == pytest.approx(float(runner.outputs['line.loss_mean'].asnumpy()))


def test_tensorboard_shows_pictures_of_evaluations(make_runner, tmp_path):
    runner = make_runner(max_iters=2)
    runner.register_hook({'type': 'TensorboardLoggerHook', 'interval': 10, 'num_images': 2})
    runner.register_hook(EvalHook(lambda: {'mIoU': 0.5}, ['mIoU'], by_epoch=False))
    assert runner.num_pictures == 2
    rng = np.random.default_rng(0)
    flat = np.repeat(rng.integers(0, 256, (3, 1, 1, 3), np.uint8), 8, 1).repeat(12, 2)
    runner.pictures = dict(zip(['a', 'b', 'c'], flat, strict=True))
    runner.run()
    (file,) = (tmp_path / 'tf_logs').iterdir()
    events = [e for e in read_events(file.read_bytes()) if e.summary.value]
    shown = [(e.step, v.tag, v.image) for e in events for v in e.summary.value if v.tag[0] == 'e']
    assert [(step, tag) for step, tag, _ in shown] == [
        (1, 'evaluation/a'), (1, 'evaluation/b'), (2, 'evaluation/a'), (2, 'evaluation/b'),
    ]  # fmt: skip
    for _, tag, image in shown:
        assert (image.height, image.width) == (8, 12)
        content = np.frombuffer(image.encoded_image_string, np.uint8)
        found = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_allclose(found, runner.pictures[tag[-1]], atol=6)


def read_events(content):
    """Read records as TensorBoard does: length, its checksum, event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    while content:
        (size,) = struct.unpack('<Q', content[:8])
        event = content[12 : 12 + size]
        sums = struct.unpack('<I', content[8:12]) + struct.unpack('<I', content[12 + size :][:4])
        assert sums == (masked_crc32c(content[:8]), masked_crc32c(event))
        yield Event.FromString(event)
        content = content[16 + size :]


def is_loss(event):
    return event.summary.value[0].tag == 'train/line.loss_mean'


def test_every_hook_is_a_hook():
    assert isinstance(HOOKS, Registry)
    assert all(issubclass(hook, Hook) for hook in HOOKS.module_dict.values())
