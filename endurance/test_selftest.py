"""The whole self-test, with two processes on the CPU."""

import json
import resource
import subprocess
import sys

from tests.many_processes import ROOT, clean_environment


def processor_time():
    """Returns the seconds of ended child processes: the clock counts what runs beside, too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_it_passes_within_ten_minutes(tmp_path):
    before = processor_time()
    out = tmp_path / 'report.txt'
    command = [sys.executable, ROOT / 'tools' / 'selftest.py', '--device', 'CPU', '--devices', '2']
    run = subprocess.run(
        [*command, '--out', out], env=clean_environment(), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    content = json.loads(out.with_suffix('.json').read_text())
    assert processor_time() - before < 2 * 600 and content['processes'] == 2
    parts = {record['part'] for record in content['records'] if record['status'] == 'ok'}
    assert parts >= {'machine', 'float32', 'float16', 'together', 'loading', 'commands', 'resumed',
                     'afterwards', 'exported'}  # fmt: skip
