"""Trackers, with stand-ins that have the documented functions of the packages alone."""

import logging
import math
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from msseg.registry import build_from_cfg
from msseg.runner import HOOKS
from msseg.runner.hooks import mlflow_logger, trackers
from msseg.utils.errors import UserValueError

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Notes(list):
    """Calls, as (name, positional arguments, keyword arguments)."""

    def function(self, name, result=None):
        def call(*args, **kwargs):
            self.append((name, args, kwargs))
            return result

        return call

    def of(self, name):
        return [(args, kwargs) for called, args, kwargs in self if called == name]


def image(array, **options):
    assert array.dtype == np.uint8 and array.ndim == 3
    return 'image', options


@pytest.fixture
def wandb(monkeypatch):
    notes = Notes()
    names = ('define_metric', 'log', 'finish', 'log_artifact')

    def init(**options):
        notes.append(('init', (), options))
        run = {name: notes.function(name) for name in names}
        return SimpleNamespace(id=options.get('id') or 'new', **run)

    class Artifact:
        def __init__(self, name, type):
            self.files = []

        def add_file(self, path, name):
            self.files.append(name)

    return install(monkeypatch, 'wandb', notes, init=init, Image=image, Artifact=Artifact)


@pytest.fixture
def swanlab(monkeypatch):
    notes = Notes()

    def init(**options):
        notes.append(('init', (), options))
        run = {name: notes.function(name) for name in ('log', 'finish')}
        return SimpleNamespace(id=options.get('id') or 'new', **run)

    return install(monkeypatch, 'swanlab', notes, init=init, Image=image)


class MlflowException(Exception):
    pass


@pytest.fixture
def mlflow(monkeypatch):
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    monkeypatch.delenv('MLFLOW_EXPERIMENT_NAME', raising=False)
    notes = Notes()

    def start_run(run_id=None, run_name=None, tags=None):
        notes.append(('start_run', (), dict(run_id=run_id, run_name=run_name, tags=tags)))
        if run_id == 'gone':
            raise MlflowException('Run with id=gone not found')
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or 'new'))

    names = ('set_tracking_uri', 'get_experiment_by_name', 'create_experiment', 'set_experiment',
             'log_params', 'log_metrics', 'log_image', 'log_artifact', 'end_run')  # fmt: skip
    functions = {name: notes.function(name) for name in names}
    exceptions = SimpleNamespace(MlflowException=MlflowException)
    return install(
        monkeypatch, 'mlflow', notes, start_run=start_run, exceptions=exceptions, **functions
    )


def install(monkeypatch, name, notes, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    return notes


@pytest.fixture
def runner(tmp_path):
    settings = {'optimizer.lr': 0.1, 'work_dir': None, 'data.train.classes': "['a']"}
    return SimpleNamespace(
        rank=0, iter=20, work_dir=tmp_path, settings=settings, pictures={'a.png': PICTURE},
        logger=logging.getLogger('msseg.test_trackers'), current_lr=lambda: [0.5],
    )  # fmt: skip


def make(kind, **options):
    return build_from_cfg({'type': kind, **options}, HOOKS)


KINDS = {'WandbLoggerHook': 'wandb', 'SwanlabLoggerHook': 'swanlab', 'MlflowLoggerHook': 'mlflow'}
every_kind = pytest.mark.parametrize('kind', KINDS)


def values_of(notes):
    """Return the points that were logged, as (iteration, values)."""
    points = [(k['step'], a[0]) for a, k in notes.of('log_metrics')]
    for args, kwargs in notes.of('log'):
        values = dict(args[0])
        step = kwargs['step'] if kwargs else values.pop('iter')
        points.append((step, values))
    return points


@every_kind
def test_a_run_has_its_config_curves_pictures_and_an_end(kind, request, runner):
    notes = request.getfixturevalue(KINDS[kind])
    hook = make(kind, num_images=1)
    hook.before_run(runner)
    [sent] = [k['config'] for _, k in notes.of('init')] or [a[0] for a, _ in notes.of('log_params')]
    assert str(sent['optimizer.lr']) == '0.1' and sent['data.train.classes'] == "['a']"
    hook.log(runner, 'train', {'loss': 2.0, 'time': 0.1})
    runner.iter = 40
    hook.log(runner, 'val', {'mIoU': 0.5, 'IoU.核': 0.25, 'IoU.none': math.nan})
    assert values_of(notes) == [
        (20, {'train/learning_rate': 0.5, 'train/loss': 2.0, 'train/time': 0.1}),
        (40, {'val/learning_rate': 0.5, 'val/mIoU': 0.5, 'val/IoU.核': 0.25}),
    ]
    hook.after_evaluation(runner)
    pictures = [a[1] for a, _ in notes.of('log_image')] or list(notes.of('log')[-1][0][0])
    assert pictures[0] in ('evaluation/a.png', 'evaluation/iter_40/a.png.jpg')
    hook.after_run(runner)
    assert len(notes.of('finish') + notes.of('end_run')) == 1
    assert hook.state() == {'run_id': 'new'}


@every_kind
def test_a_resumed_run_goes_on(kind, request, runner, caplog):
    notes = request.getfixturevalue(KINDS[kind])
    hook = make(kind)
    hook.load_state({'run_id': 'seven'})
    with caplog.at_level(logging.INFO):
        hook.before_run(runner)
    assert 'run seven goes on' in caplog.text
    [begun] = [k for _, k in notes.of('init') + notes.of('start_run')]
    assert begun.get('id', begun.get('run_id')) == 'seven'
    assert begun.get('resume', 'allow') == 'allow'
    assert hook.state() == {'run_id': 'seven'}
    assert notes.of('log_params') == []  # MLflow refuses parameters that have changed


@every_kind
def test_only_rank_0_reports(kind, request, runner, monkeypatch):
    notes = request.getfixturevalue(KINDS[kind])
    monkeypatch.setattr(trackers, 'get_rank', lambda: 1)
    monkeypatch.setitem(sys.modules, KINDS[kind], None)  # nor does another import it
    runner.rank, runner.iter_values = 1, {'loss': 1.0}
    hook = make(kind, num_images=1)
    hook.before_run(runner)
    hook.after_train_iter(runner)
    hook.after_evaluation(runner)
    hook.after_run(runner)
    assert notes == [] and hook.state() == {}


@every_kind
def test_a_missing_package_is_named_with_its_extra(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, KINDS[kind], None)
    with pytest.raises(ImportError, match=rf'{kind} needs .*msseg\[{KINDS[kind]}\]'):
        make(kind)


@every_kind
def test_a_tracker_that_cannot_start_ends_the_run_with_one_line(kind, request, runner, monkeypatch):
    request.getfixturevalue(KINDS[kind])
    hook = make(kind)

    def refuse(*args, **kwargs):
        raise RuntimeError('no key\nis configured')

    start = {'MlflowLoggerHook': 'set_experiment'}.get(kind, 'init')
    monkeypatch.setattr(hook.module, start, refuse)
    with pytest.raises(UserValueError) as raised:
        hook.before_run(runner)
    line = str(raised.value)
    assert line.startswith(f'{kind}: the run cannot be started: RuntimeError: no key is configured')
    assert '\n' not in line and hook.advice in line


@every_kind
def test_a_tracker_that_fails_later_warns_once_and_is_tried_again(
    kind, request, runner, monkeypatch, caplog
):
    notes = request.getfixturevalue(KINDS[kind])
    now = [100.0]
    monkeypatch.setattr(trackers.time, 'monotonic', lambda: now[0])
    hook = make(kind, num_images=1)
    hook.before_run(runner)
    calls, send, is_broken = [], hook.send_values, [True]

    def failing(values, iteration):
        calls.append(iteration)
        if is_broken[0]:
            now[0] += 12  # it waits for the server
            raise OSError('no route to host')
        send(values, iteration)

    monkeypatch.setattr(hook, 'send_values', failing)
    for runner.iter in (20, 40):
        hook.log(runner, 'train', {'loss': 1.0})
    assert calls == [20]  # training is not held up again at once
    now[0] += 121
    runner.iter = 60
    hook.log(runner, 'train', {'loss': 1.0})
    assert calls == [20, 60]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f'{kind}: OSError: no route to host. What it does not take is lost' in warnings[0]
    is_broken[0] = False
    now[0] += 121
    runner.iter = 80
    hook.log(runner, 'train', {'loss': 1.0})
    assert [step for step, _ in values_of(notes)] == [80]


@every_kind
def test_a_run_that_ends_with_an_error_is_marked(kind, request, runner):
    notes = request.getfixturevalue(KINDS[kind])
    hook = make(kind)
    hook.before_run(runner)
    with pytest.raises(ZeroDivisionError):
        try:
            raise ZeroDivisionError('bad')
        finally:
            hook.after_run(runner)
    [(args, kwargs)] = notes.of('finish') + notes.of('end_run')
    assert args == ('FAILED',) or kwargs.get('exit_code') == 1 or kwargs['state'] == 'crashed'


def test_wandb_gets_the_users_options_over_the_defaults(wandb, runner):
    options = dict(
        project='p', dir='/elsewhere', id='mine', config={'optimizer.lr': 7, 'token': 'x'}
    )
    hook = make('WandbLoggerHook', init_kwargs=options, define_metric_cfg={'val/mIoU': 'max'})
    hook.load_state({'run_id': 'seven'})
    hook.before_run(runner)
    [(_, sent)] = wandb.of('init')
    assert (sent['project'], sent['dir'], sent['id']) == ('p', '/elsewhere', 'mine')
    assert sent['config'] == {**runner.settings, 'optimizer.lr': 7, 'token': '<hidden>'}
    defined = wandb.of('define_metric')
    assert (('*',), {'step_metric': 'iter'}) in defined
    assert (('val/mIoU',), {'step_metric': 'iter', 'summary': 'max'}) in defined
    assert options['config'] == {'optimizer.lr': 7, 'token': 'x'}


def test_wandb_writes_to_the_work_dir_and_uploads_files_when_asked_to(wandb, runner, tmp_path):
    (tmp_path / 'wandb').mkdir()
    for name in ('a.log', 'a.log.json', 'config.py', 'iter_1.ckpt', 'wandb/debug.log'):
        (tmp_path / name).write_text('')
    hook = make('WandbLoggerHook', log_artifact=True)
    hook.before_run(runner)
    assert wandb.of('init')[0][1]['dir'] == str(tmp_path)
    hook.after_run(runner)
    [((artifact,), _)] = wandb.of('log_artifact')
    assert artifact.files == ['a.log', 'a.log.json', 'config.py']


def test_swanlab_writes_to_the_work_dir(swanlab, runner, tmp_path):
    make('SwanlabLoggerHook').before_run(runner)
    make('SwanlabLoggerHook', init_kwargs=dict(log_dir='x')).before_run(runner)
    first, second = (options for _, options in swanlab.of('init'))
    assert first['logdir'] == str(tmp_path / 'swanlog')
    assert second['log_dir'] == 'x' and 'logdir' not in second


def test_mlflow_stores_in_the_work_dir_unless_told_otherwise(mlflow, runner, tmp_path, monkeypatch):
    hook = make('MlflowLoggerHook', tags={'a': 'b'}, params={'more': 1}, run_name='r')
    hook.before_run(runner)
    assert mlflow.of('set_tracking_uri') == [((f'sqlite:///{tmp_path}/mlflow.db',), {})]
    [(args, kwargs)] = mlflow.of('create_experiment')
    assert args == ('msseg',) and kwargs['artifact_location'].startswith(tmp_path.as_uri())
    assert mlflow.of('start_run')[0][1] == dict(run_id=None, run_name='r', tags={'a': 'b'})
    assert mlflow.of('log_params')[0][0][0]['more'] == '1'
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://there')
    monkeypatch.setenv('MLFLOW_EXPERIMENT_NAME', 'e')
    make('MlflowLoggerHook').before_run(runner)
    make('MlflowLoggerHook', tracking_uri='http://here', exp_name='f').before_run(runner)
    assert [a[0] for a, _ in mlflow.of('set_tracking_uri')][1:] == ['http://there', 'http://here']
    assert [a[0] for a, _ in mlflow.of('set_experiment')] == ['msseg', 'e', 'f']
    assert len(mlflow.of('create_experiment')) == 1


def test_mlflow_takes_names_that_it_refuses_in_its_own_characters(mlflow, runner):
    hook = make('MlflowLoggerHook')
    hook.before_run(runner)
    hook.log(runner, 'val', {'IoU.road (wet)': 0.5, 'IoU.核 1': 0.5})
    [(args, _)] = mlflow.of('log_metrics')
    assert set(args[0]) == {
        'val/learning_rate', 'val/IoU.road u0028wetu0029', 'val/IoU.核 1'
    }  # fmt: skip


def test_mlflow_begins_a_new_run_when_the_old_one_is_gone(mlflow, runner, caplog):
    hook = make('MlflowLoggerHook')
    hook.load_state({'run_id': 'gone'})
    hook.before_run(runner)
    assert 'run gone cannot go on' in caplog.text and hook.state() == {'run_id': 'new'}
    assert len(mlflow.of('log_params')) == 1


def test_mlflow_stores_the_newest_checkpoint_when_asked_to(mlflow, runner, tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_logger, 'resolve_checkpoint', lambda folder: folder / 'iter_2.ckpt')
    hook = make('MlflowLoggerHook', log_model=True)
    hook.before_run(runner)
    hook.after_run(runner)
    assert mlflow.of('log_artifact') == [((f'{tmp_path}/iter_2.ckpt', 'checkpoints'), {})]
    assert mlflow.of('end_run') == [(('FINISHED',), {})]


def test_mmsegmentations_hook_shows_as_many_images_as_it_says(wandb, runner):
    hook = make('MMSegWandbHook', num_eval_images=1, init_kwargs=dict(project='p'))
    hook.before_run(runner)
    runner.pictures = {'a': PICTURE, 'b': PICTURE}
    hook.after_evaluation(runner)
    assert set(wandb.of('log')[-1][0][0]) == {'evaluation/a', 'iter'}
    with pytest.raises(ValueError, match='log_checkpoint is True, expected False'):
        make('MMSegWandbHook', log_checkpoint=True)


@pytest.mark.parametrize(
    ('kind', 'options', 'problem'),
    [
        ('WandbLoggerHook', dict(define_metric_cfg={'a': 'biggest'}), 'define_metric_cfg'),
        ('WandbLoggerHook', dict(with_step=False), 'with_step is False, expected True'),
        ('WandbLoggerHook', dict(init_kwargs=3), 'init_kwargs is 3'),
        ('WandbLoggerHook', dict(num_images=-1), 'num_images is -1'),
    ],
)
def test_a_wrong_option_is_named(wandb, kind, options, problem):
    with pytest.raises(ValueError, match=problem):
        make(kind, **options)
