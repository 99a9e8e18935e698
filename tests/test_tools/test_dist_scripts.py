"""The scripts that start several processes; more of what they do is in `endurance/`."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.many_processes import ROOT, ManyRun, clean_environment

# What must not depend on how many devices share a batch: statistics, dropout, averaged gradients.
MORE = """
model['decode_head'].update(num_convs=1, dropout_ratio=0.5,
    norm_cfg=dict(type='SyncBN', momentum=0.6))
model['decode_head']['loss_decode']['class_weight'] = [0.3, 1.0]
custom_imports['imports'] += ['many_parts']
custom_hooks = [dict(type='Record')]
evaluation = dict(interval=3, by_epoch=False, save_best='mIoU')
auto_scale_lr = dict(base_batch_size=8)
data.update(samples_per_gpu=4, test=data['val'])
"""
PARTS = '''
import json
from msseg.runner.builder import HOOKS
from msseg.runner.hooks import Hook


@HOOKS.register_module()
class Record(Hook):
    """Writes each process's values and files of every iteration, to the last digit."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner):
        values = {name: float(value.asnumpy()) for name, value in runner.outputs.items()}
        self.seen.append([values, runner.data_batch.filenames])
        path = runner.work_dir / f'seen_by_{runner.rank}.json'
        path.write_text(json.dumps(self.seen))
'''


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run in one process and one in two, over the same samples."""
    run = ManyRun(tmp_path_factory.mktemp('many'), MORE, images=9)
    (run.folder / 'many_parts.py').write_text(PARTS)
    assert run.start(0, '--work-dir', 'one').wait(300) == 0, run.output
    options = ['--cfg-options', 'data.samples_per_gpu=2']
    assert run.start(2, '--work-dir', 'two', *options).wait(300) == 0, run.output
    return run


def seen_by(run, work_dir, rank=0):
    values, files = zip(
        *json.loads((run.folder / work_dir / f'seen_by_{rank}.json').read_text()), strict=True
    )
    return values, files


def test_two_processes_share_each_batch_of_one(trained):
    _, whole = seen_by(trained, 'one')
    halves = [seen_by(trained, 'two', rank)[1] for rank in range(2)]
    assert [a + b for a, b in zip(*halves, strict=True)] == list(whole)


def test_two_processes_compute_what_one_does(trained):
    one, two = [seen_by(trained, work_dir)[0] for work_dir in ('one', 'two')]
    assert two == seen_by(trained, 'two', rank=1)[0]
    for iteration, (expected, values) in enumerate(zip(one, two, strict=True)):
        assert values['decode.loss_ce'] == pytest.approx(expected['decode.loss_ce'], abs=1e-6)
        assert values == pytest.approx(expected, rel=1e-4), iteration
    expected, actual = [
        load_checkpoint(trained.folder / work_dir / 'iter_6.ckpt') for work_dir in ('one', 'two')
    ]
    for part in ('weights', 'state'):
        tensors = getattr(actual, part)
        assert list(tensors) == list(getattr(expected, part))
        for name, wanted in getattr(expected, part).items():
            scale = max(np.abs(wanted).max(), 1e-3)
            difference = np.abs(tensors[name] - wanted).max()
            assert difference <= 1e-4 * scale, name


def test_one_of_two_processes_writes(trained):
    names = [path.name for path in (trained.folder / 'two').iterdir()]
    assert sum(name.endswith('.log') for name in names) == 1
    assert sum(name.endswith('.log.json') for name in names) == 1
    (logs,) = (trained.folder / 'two' / 'rank_logs').iterdir()
    assert {'worker_0.log', 'worker_1.log', 'scheduler.log'} == set(os.listdir(logs))
    shown = trained.output
    assert 'ranks 0 to 1 log to two/rank_logs/' in shown
    assert 'Iter [6/6]' in shown and 'mIoU' in shown
    assert '[WARNING] DISTRIBUTED' not in shown and 'Event base dispatch' not in shown
    assert 'Iter [6/6]' not in (logs / 'worker_1.log').read_text()


def test_evaluation_while_training_is_the_same(trained):
    scores = []
    for work_dir in ('one', 'two'):
        (log,) = (trained.folder / work_dir).glob('*.log.json')
        lines = [json.loads(line) for line in log.open()]
        scores.append([line['mIoU'] for line in lines if line.get('mode') == 'val'])
    assert scores[0] == scores[1]
    assert len(scores[0]) == 2


def test_testing_in_two_processes_writes_every_image_once(trained):
    for name, count in (('tested_1', 0), ('tested_2', 2)):
        arguments = ['--eval', 'mIoU', 'mDice', '--out', f'{name}/labels.npz', '--show-dir',
                     f'{name}/shown', '--format-only', '--format-dir', f'{name}/formatted',
                     '--work-dir', name]  # fmt: skip
        checkpoint = trained.folder / 'one' / 'iter_6.ckpt'
        assert trained.start_test(count, checkpoint, *arguments).wait(300) == 0, trained.output
        assert trained.output.count('| ground ') == 1
    folders = [trained.folder / name for name in ('tested_1', 'tested_2')]
    metrics = [
        json.loads(next(folder.glob('eval_*.json')).read_text())['metric'] for folder in folders
    ]
    assert metrics[0] == metrics[1]
    one, two = [np.load(folder / 'labels.npz') for folder in folders]
    assert one.files == two.files == [f'disc_{index}' for index in range(9)]
    assert all((one[name] == two[name]).all() for name in one.files)
    assert len({int(value) for name in one.files for value in np.unique(one[name])}) == 2
    for kind in ('shown', 'formatted'):
        files = [{p.name: p.read_bytes() for p in (folder / kind).iterdir()} for folder in folders]
        assert files[0] == files[1]
        assert len(files[0]) == 9
    assert not list(folders[1].glob('.*.tmp'))


def test_the_switch_scales_the_learning_rate(trained):
    options = ['--auto-scale-lr', '--no-validate', '--cfg-options', 'runner.max_iters=1']
    assert trained.start(0, '--work-dir', 'scaled', *options).wait(300) == 0
    assert 'learning rate 0.025, which is 0.05 * 4 / 8' in trained.output


@pytest.mark.parametrize(
    ('arguments', 'variables', 'message'),
    [
        (['train', 'small.py', 'two'], {}, "NUM is 'two', expected a whole number of at least 1"),
        (['train', 'small.py', '0'], {}, "NUM is '0', expected a whole number of at least 1"),
        (['train', 'none.py', '2'], {}, "config file 'none.py' does not exist"),
        (['test', 'small.py', 'x.ckpt', '-1'], {}, "NUM is '-1', expected a whole number"),
        (['train', 'small.py', '2', '--launcher', 'mpi'], {}, 'for mpi: mpirun -n NUM msseg train'),
        (['train', 'small.py', '2'], {'NNODES': '2'}, 'NNODES is 2, so MASTER_ADDR must name'),
        (['train', 'small.py', '2'], {'NODE_RANK': '1'}, 'NODE_RANK is 1, expected a number from'),
        (['train', 'small.py', '2'], {'PORT': 'http'}, "PORT is 'http', expected a whole number"),
        (['train', 'small.py', '2'], {'MSSEG_STUCK_AFTER_S': '-3'}, "MSSEG_STUCK_AFTER_S is '-3'"),
        (
            ['train', 'small.py', '2', '--launcher=ranktable'],
            {},
            'RANK_TABLE_FILE is not set in the environment',
        ),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_line_before_anything_starts(trained, arguments, variables, message):
    done = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'dist_run.py', *arguments],
        env={**clean_environment(), **variables},
        cwd=trained.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith('error: ') and message in done.stderr


def test_scripts_take_the_python_that_is_named(tmp_path):
    done = subprocess.run(
        [ROOT / 'tools' / 'dist_train.sh', 'none.py', '2'],
        env={**os.environ, 'PYTHON': 'echo'},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[1:] == ['train', 'none.py', '2']
