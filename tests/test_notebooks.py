"""The notebooks run from their first to their last cell, and hold no output.

They are plain Python without IPython's commands, so a fresh process runs their cells without
Jupyter. Like Jupyter, it shows the last expression of a cell. A cell with the tag "parameters" is
followed by the smaller values of the test.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob('notebooks/*.ipynb'))
PARAMETERS = {'own_data': {'num_iters': 2}, 'look_into_a_model': {}}
# what of the output only a run to the end prints, and how many pictures are shown
EXPECTED = {
    'own_data': (r'24 images: 18 train, 6 val[\s\S]*Iter\(val\) \[2/2\][\s\S]*Result\(', 2),
    'look_into_a_model': (r'UNet[\s\S]*rows and columns from[\s\S]*mean entropy', 3),
}
_LINK = re.compile(r'\]\((?!https?://)([^)#\s]+)')


def cells_of(path, kind):
    notebook = json.loads(path.read_text(encoding='utf-8'))
    return [cell for cell in notebook['cells'] if cell['cell_type'] == kind]


def script_of(cells, parameters):
    """One Python script of the cells, in which last expressions are shown."""
    parts = [
        'def _show(value):',
        '    if value is not None:',
        "        picture = getattr(value, '_repr_png_', None)",
        "        print('picture', len(picture())) if picture else print(repr(value))",
    ]
    for cell in cells:
        tree = ast.parse(''.join(cell['source']))
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            call = ast.Call(ast.Name('_show', ast.Load()), [tree.body[-1].value], [])
            tree.body[-1] = ast.fix_missing_locations(ast.Expr(call))
        parts.append(ast.unparse(tree))
        if 'parameters' in cell['metadata'].get('tags', ()):
            parts += [f'{name} = {value!r}' for name, value in parameters.items()]
    return '\n'.join(parts)


def run(script, folder):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run([sys.executable, '-c', script], cwd=folder, env=environment,
                          capture_output=True, text=True)  # fmt: skip


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    (tmp_path / 'demo').symlink_to(ROOT / 'demo')
    (tmp_path / 'notebooks').mkdir()  # Jupyter starts a notebook in its own folder
    done = run(script_of(cells_of(path, 'code'), PARAMETERS[path.stem]), tmp_path / 'notebooks')
    assert done.returncode == 0, f'{done.stdout[-3000:]}\n{done.stderr[-5000:]}'
    output, num_pictures = EXPECTED[path.stem]
    assert re.search(output, done.stdout), done.stdout[-3000:]
    assert len(re.findall(r'^picture \d+$', done.stdout, re.M)) == num_pictures
    assert {each.name for each in tmp_path.iterdir()} <= {'demo', 'notebooks', 'work_dirs'}
    assert not list((tmp_path / 'notebooks').iterdir())


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_of_format_4_and_holds_no_output(path):
    notebook = json.loads(path.read_text(encoding='utf-8'))
    assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
    ids = [cell['id'] for cell in notebook['cells']]
    assert len(set(ids)) == len(ids)
    for cell in cells_of(path, 'code'):
        assert (cell['outputs'], cell['execution_count']) == ([], None), cell['id']
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_links_and_options_of_a_notebook_exist(path):
    text = ''.join(line for cell in cells_of(path, 'markdown') for line in cell['source'])
    links = _LINK.findall(text)
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_cell_that_fails_fails_the_run(tmp_path):
    cells = [dict(source=['value = 1\n', 'value'], metadata=dict(tags=['parameters'])),
             dict(source=['print("then", value)\n', 'value + 1'], metadata={}),
             dict(source=['raise ValueError'], metadata={})]  # fmt: skip
    done = run(script_of(cells, dict(value=5)), tmp_path)
    assert done.stdout == '1\nthen 5\n6\n'
    assert done.returncode == 1
