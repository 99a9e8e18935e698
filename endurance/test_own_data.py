"""Annotations of each format are imported, train, are tested and label images, by commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labelling_tools import CLASSES, WRITERS
from tests.tiny import CONFIG

ROOT = Path(__file__).resolve().parent.parent
SHORT = ['runner.max_iters=2', 'evaluation.interval=2', 'checkpoint_config.interval=2']


def run(tool, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, ROOT / 'tools' / tool, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with the config of a tiny network."""
    root = tmp_path_factory.mktemp('own')
    (root / 'tiny.py').write_text(CONFIG.replace('{root}', str(root)))
    return root


@pytest.mark.parametrize('kind', WRITERS)
def test_one_command_leads_to_training(folder, kind):
    WRITERS[kind](folder / kind)
    classes = ['--classes', *CLASSES] if kind == 'labelstudio' else []
    words = [kind, kind, '--out', f'{kind}-data', '--model', 'tiny.py', *classes]
    shown = run('import_labels.py', *words, cwd=folder)
    config = Path(shown.split()[-1])
    work_dir = folder / f'{kind}-run'
    options = ['--work-dir', work_dir, '--cfg-options', *SHORT]
    run('train.py', config, *options, cwd=folder)
    scores = run(
        'test.py', config, work_dir / 'iter_2.ckpt', '--eval', 'mIoU', 'mBoundaryIoU',
        '--bootstrap', 50, '--report', folder / f'{kind}-report', cwd=folder,
    )  # fmt: skip
    assert 'BoundaryIoU' in scores and 'IoU, 95 %' in scores
