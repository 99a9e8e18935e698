"""Graphs that come from MindSpore's compile cache train what the compiled ones do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER = ROOT / 'tests' / 'test_runner' / 'compile_cache_worker.py'


def learn(kind, cache, momentum=0.9):
    environment = {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'MS_COMPILER_CACHE_ENABLE': '1',
        'MS_COMPILER_CACHE_PATH': str(cache),
    }
    command = [sys.executable, str(WORKER), kind, str(momentum)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    learnt = [x for x in done.stdout.splitlines() if x.startswith(('dense', 'bn', 'ema'))]
    assert len(learnt) == 8
    return learnt, 'Use the compilation cache' in done.stdout + done.stderr


@pytest.mark.parametrize('kind', ['SGD', 'AdamW'])
def test_cached_graphs_learn_the_same(kind, tmp_path):
    compiled, was_cached = learn(kind, tmp_path)
    assert not was_cached
    cached, was_cached = learn(kind, tmp_path)
    assert was_cached
    assert cached == compiled


def test_graphs_of_other_settings_are_not_taken(tmp_path):
    """MindSpore alone would go on with the momentum of the cached graph."""
    first, _ = learn('SGD', tmp_path, momentum=0.9)
    second, was_cached = learn('SGD', tmp_path, momentum=0.5)
    assert not was_cached
    assert first != second
