"""Graphs that come from MindSpore's compile cache train what the compiled ones do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER = ROOT / 'tests' / 'test_runner' / 'compile_cache_worker.py'


def learn(kind, cache):
    environment = {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'MS_COMPILER_CACHE_ENABLE': '1',
        'MS_COMPILER_CACHE_PATH': str(cache),
    }
    command = [sys.executable, str(WORKER), kind]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, 'Use the compilation cache' in done.stdout + done.stderr


@pytest.mark.parametrize('kind', ['SGD', 'AdamW'])
def test_cached_graphs_learn_the_same(kind, tmp_path):
    compiled, was_cached = learn(kind, tmp_path)
    assert not was_cached
    cached, was_cached = learn(kind, tmp_path)
    assert was_cached
    lines = [line for line in cached.splitlines() if line.startswith(('dense', 'bn', 'ema'))]
    assert len(lines) == 8
    assert lines == [x for x in compiled.splitlines() if x.startswith(('dense', 'bn', 'ema'))]
