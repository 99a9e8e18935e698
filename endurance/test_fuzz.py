"""A small part of what fuzz.py does: 60 configs and 40 checkpoints."""

import ast
import subprocess
import sys
from pathlib import Path


def test_damaged_and_hostile_files_are_done_or_refused_in_one_line(tmp_path):
    command = [
        sys.executable,
        Path(__file__).with_name('fuzz.py'),
        '--seed',
        '1',
        '--keep',
        tmp_path,
    ]
    numbers = ['--configs', '60', '--checkpoints', '40']
    done = subprocess.run([*command, *numbers], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    for kind, number in (('configs', 60), ('checkpoints', 40)):
        line = next(line for line in done.stdout.splitlines() if line.startswith(f'{kind}: '))
        counts = ast.literal_eval(line.partition(': ')[2])
        assert sum(counts.values()) == number and counts['refused'] > number / 4
