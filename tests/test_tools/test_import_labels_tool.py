"""The command lines that import annotations and write configs."""

import subprocess
import sys
from pathlib import Path

from tests.labelling_tools import write_coco

ROOT = Path(__file__).parents[2]


def run(tool, *arguments, cwd):
    return subprocess.run(
        [sys.executable, ROOT / 'tools' / tool, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={'PYTHONPATH': str(ROOT), 'PATH': '/usr/bin:/bin'},
    )


def test_one_command_leads_from_annotations_to_a_config(tmp_path):
    write_coco(tmp_path / 'src')
    words = ['coco', 'src/annotations/cells.json', '--images', 'src/images', '--out', 'data']
    done = run('import_labels.py', *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('12 images: 10 train, 2 val (0.2 for validation, by class')
    assert 'nothing is wrong' in done.stdout
    assert done.stdout.endswith('train with: msseg train data/ocrnet_nuclei.py\n')
    again = run('import_labels.py', *words, cwd=tmp_path)
    assert (again.returncode, again.stderr.count('\n')) == (1, 1)
    assert '--force' in again.stderr
    label = next((tmp_path / 'data' / 'annotations' / 'val').rglob('*.png'))
    label.write_bytes(label.read_bytes()[:40])
    other = run('new_config.py', 'data', '--model', 'unet_nuclei', cwd=tmp_path)
    assert (other.returncode, other.stderr) == (1, '')  # the data have errors
    assert 'truncated label' in other.stdout
    assert (tmp_path / 'data' / 'unet_nuclei.py').is_file()
    (tmp_path / 'src' / 'annotations' / 'cells.json').write_text('{')
    broken = run('import_labels.py', *words[:-1], 'other', cwd=tmp_path)
    assert (broken.returncode, broken.stdout) == (1, '')
    assert broken.stderr.startswith('error: src/annotations/cells.json, line 1: no JSON')
    assert broken.stderr.count('\n') == 1
