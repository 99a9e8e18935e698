"""Code in the pages runs, and what they name exists.

A page's blocks run from top to bottom in one namespace, in an empty folder that shows the
repository's folders. Comments before a block change that:

- `<!-- file: NAME -->`: the block is written to that file instead; of a `diff` what it leads to.
- `<!-- notest -->`: the block only has its commands and options checked; for what takes long or
  needs data that is not here. Keep these few.
- `<!-- test with: OPTIONS -->`: the block's `msseg …` and `python tools/…` commands get these
  options too, as for fewer iterations.
- `<!-- output -->`: the block is what the page's commands print, word by word.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from msseg.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('demo/**/*.md')])
SHOWN = ('configs', 'demo', 'docs', 'msseg', 'tests', 'tools', 'Makefile', 'README.md')
WRITTEN_BY_RUNS = 'demo/output'
# Pages that show what can be done with a network: one of few layers is compiled in much less time.
OF_FEW_LAYERS = ('docs/customize.md', 'docs/logging.md')
FEW_LAYERS = {
    'ocrnet_small.py': """
_base_ = './ocrnet_hr18.py'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True, type='ResNet', depth=18, stem_channels=8, base_channels=18,
        norm_cfg=norm_cfg, norm_eval=False),
    decode_head={
        '*': dict(loss_decode=dict(avg_non_ignore=True)),
        1: dict(channels=8, ocr_channels=4)})
""",
}
MODULES = {each.name: f'msseg/commands/{each.module}.py' for each in COMMANDS}
MAX_NOTEST = 29

_FENCE = re.compile(
    r'^(?P<comments>(?:<!--[^\n]*-->\n+)*)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r'<!-- (file|test with|notest|output):? ?(.*?) ?-->')
_LINK = re.compile(r'\[[^\]]*\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)')
_PATH = re.compile(r'^(?:configs|demo|docs|msseg|tests|tools)/[\w./-]*\w/?$')
_OPTION = re.compile(r'^--[a-z][\w-]*')
_TOOL = re.compile(r'(?:python ((?:tools|demo)/[\w/]+\.py)|\bmsseg ([a-z][\w-]*))(.*)')
# this checkout's command, whatever is installed
_COMMAND = f'#!/bin/sh\nexec {sys.executable} -m msseg "$@"\n'


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    comments: dict[str, str]

    @property
    def runs(self) -> bool:
        return self.language in ('python', 'bash') and 'notest' not in self.comments

    @property
    def where(self) -> str:
        return f'{self.page.relative_to(ROOT)}, line {self.line}'


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding='utf-8')
    found = []
    for match in _FENCE.finditer(text):
        line = text.count('\n', 0, match.start('language')) + 1
        comments = dict(_COMMENT.findall(match['comments']))
        code = match['code']
        if match['language'] == 'diff':
            code = re.sub(r'^[+ ]', '', re.sub(r'^-.*\n', '', code, flags=re.M), flags=re.M)
        found.append(Block(page, line, match['language'], code, comments))
    return found


def commands_of(block: Block) -> list[str]:
    lines = block.code.replace('\\\n', ' ').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def script_of(blocks: list[Block]) -> str:
    """Returns one Python script that does what the page's blocks say."""
    parts = [
        'import subprocess',
        'from pathlib import Path',
        'def _write(name, text):',
        '    Path(name).parent.mkdir(parents=True, exist_ok=True)',
        '    Path(name).write_text(text)',
        'def _bash(text):',
        "    subprocess.run(['bash', '-euo', 'pipefail', '-c', text], check=True)",
    ]
    for block in blocks:
        parts.append(f'print({block.where!r}, flush=True)')
        if 'file' in block.comments:
            parts.append(f'_write({block.comments["file"]!r}, {block.code!r})')
        elif not block.runs:
            continue
        elif block.language == 'bash':
            extra = block.comments.get('test with', '')
            commands = [
                f'{command} {extra}' if extra and _TOOL.search(command) else command
                for command in commands_of(block)
            ]
            parts.append(f'_bash({chr(10).join(commands)!r})')
        else:
            parts.append(block.code)
    return '\n'.join(parts)


def named(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


# Chinese pages have the code of the English ones: test_chinese_pages.py
ENGLISH = [page for page in PAGES if not page.stem.endswith('_zh')]
RUNNABLE = [page for page in ENGLISH if any(block.runs for block in blocks_of(page))]


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """The repository, but for the layers of networks that pages compile."""
    folder = tmp_path_factory.mktemp('checkout')
    for name in SHOWN:
        if name != 'configs':
            (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    models = folder / 'configs' / '_base_' / 'models'
    for name, text in FEW_LAYERS.items():
        assert (models / name).is_file()
        (models / name).write_text(text)
    return folder


@pytest.mark.parametrize('page', RUNNABLE, ids=named(RUNNABLE))
def test_code_runs(page, tmp_path, tmp_path_factory, checkout):
    source = checkout if page.relative_to(ROOT).as_posix() in OF_FEW_LAYERS else ROOT
    for name in SHOWN:
        (tmp_path / name).symlink_to(source / name)
    (tmp_path / 'page.py').write_text(script_of(blocks_of(page)))
    folders = [str(tmp_path_factory.mktemp('bin')), str(Path(sys.executable).parent)]
    command = Path(folders[0]) / 'msseg'
    command.write_text(_COMMAND)
    command.chmod(0o755)
    environment = {
        **os.environ,
        'PATH': os.pathsep.join([*folders, os.environ['PATH']]),
        'PYTHONPATH': f'{source}{os.pathsep}{ROOT}',
    }
    run = subprocess.run(
        [sys.executable, 'page.py'], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, f'{run.stdout[-3000:]}\n{run.stderr[-5000:]}'
    pasted = [block for block in blocks_of(page) if 'output' in block.comments]
    assert [b.where for b in pasted if b.code not in run.stdout] == [], run.stdout[-5000:]


def test_few_blocks_are_not_run():
    skipped = [b.where for page in ENGLISH for b in blocks_of(page) if 'notest' in b.comments]
    assert len(skipped) <= MAX_NOTEST, skipped


@pytest.mark.parametrize('page', PAGES, ids=named(PAGES))
def test_links_lead_somewhere(page):
    broken = []
    for target, anchor in _LINK.findall(_FENCE.sub('', page.read_text(encoding='utf-8'))):
        file = (page.parent / target) if target else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            broken.append(f'{target}#{anchor}' if anchor else target)
    assert not broken


@pytest.mark.parametrize('page', PAGES, ids=named(PAGES))
def test_named_files_options_and_targets_exist(page):
    prose = _FENCE.sub('', page.read_text(encoding='utf-8'))
    wrong = []
    options = options_of_msseg_infer()
    tools = [
        *ROOT.glob('tools/**/*.py'),
        *ROOT.glob('docs/*.py'),
        *ROOT.glob('msseg/commands/**/*.py'),
    ]
    options.update(*(options_of(tool) for tool in tools))
    for code in re.findall(r'`([^`\n]+)`', prose):
        words = code.split()
        is_path = _PATH.match(words[0]) and not words[0].startswith(WRITTEN_BY_RUNS)
        if is_path and not (ROOT / words[0]).exists():
            wrong.append(words[0])
        if words[0] == 'make' and len(words) > 1 and words[1] not in make_targets():
            wrong.append(code)
        if _OPTION.match(words[0]) and words[0].split('=')[0] not in options:
            wrong.append(code)
    assert not wrong


@pytest.mark.parametrize('page', PAGES, ids=named(PAGES))
def test_commands_take_the_options_they_are_given(page):
    wrong = []
    for block in blocks_of(page):
        for command in commands_of(block) if block.language == 'bash' else []:
            for script, name, arguments in _TOOL.findall(command):
                tool = script or MODULES.get(name, f'no msseg {name}')
                if not (ROOT / tool).exists():
                    wrong.append(f'{block.where}: {tool} is not there')
                    continue
                known = options_of(ROOT / tool)
                given = {w.split('=')[0] for w in arguments.split() if w.startswith('--')}
                wrong += [f'{block.where}: {tool} {option}' for option in sorted(given - known)]
            if command.startswith('make ') and command.split()[1] not in make_targets():
                wrong.append(f'{block.where}: {command}')
    assert not wrong


@pytest.mark.parametrize('name', ['train', 'test'])
def test_every_option_of_training_and_testing_is_in_its_table(name):
    page = (ROOT / 'docs/getting_started.md').read_text(encoding='utf-8')
    table = page.partition(f'| option of `msseg {name}` | effect |')[2].partition('\n\n')[0]
    assert set(re.findall(r'`(--[\w-]+)', table)) == options_of(ROOT / MODULES[name]) - {'--help'}


def test_every_command_is_in_the_table_of_commands():
    page = (ROOT / 'docs/getting_started.md').read_text(encoding='utf-8')
    table = page.partition('| command | script | what it does |')[2].partition('\n\n')[0]
    assert re.findall(r'^\| `msseg ([\w-]+)` \|', table, re.M) == list(MODULES)


def options_of(tool: Path) -> set[str]:
    """Returns the options that a command line declares, those of its subcommands included."""
    files = [tool]
    if tool.is_relative_to(ROOT / 'tools'):
        files += ROOT.glob(f'msseg/commands/{tool.relative_to(ROOT / "tools")}')
    if tool.name == 'benchmark.py':
        files += (ROOT / 'benchmarks').glob('*.py')
    options = {'--help'}
    shared = shared_options()
    for file in files:
        tree = ast.parse(file.read_text(encoding='utf-8'))
        options |= declared_options(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                options |= shared.get(getattr(node.func, 'id', ''), set())
    return options


def declared_options(tree: ast.AST) -> set[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        argument.value
        for call in calls
        if getattr(call.func, 'attr', '') == 'add_argument'
        for argument in call.args
        if isinstance(argument, ast.Constant) and argument.value.startswith('--')
    }


@functools.cache
def shared_options() -> dict[str, set[str]]:
    """Returns the options that functions for several command lines declare."""
    trees = [
        ast.parse((ROOT / file).read_text(encoding='utf-8'))
        for file in ('msseg/utils/cli.py', 'msseg/config/dict_action.py')
    ]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: options for f in functions if (options := declared_options(f))}


def options_of_msseg_infer() -> set[str]:
    text = (ROOT / 'deploy/cpp/src/options.cpp').read_text()
    return {f'--{name}' for name in re.findall(r'{"([a-z-]+)", (?:no|required)_argument', text)}


def make_targets() -> set[str]:
    return set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))


def anchors_of(page: Path) -> set[str]:
    """Returns the anchors that headings of a page get on the usual sites."""
    text = _FENCE.sub('', page.read_text(encoding='utf-8'))
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


# ------------------------------------------------------------- the checks themselves


def test_script_writes_runs_and_skips_as_the_comments_say(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(
        textwrap.dedent("""\
        # Title
        <!-- file: sub/name.py -->
        ```python
        value = 3
        ```
        <!-- file: sub/new.py -->
        ```diff
        -import torch
        +if True:
             other = 4
        ```
        ```python
        import sys
        sys.path.insert(0, 'sub')
        from name import value
        from new import other
        ```
        <!-- notest -->
        ```bash
        exit 1
        ```
        ```bash
        echo started > out.txt
        ```
        ```text
        not code
        ```
        ```python
        assert (value, other) == (3, 4) and Path('out.txt').read_text() == 'started\\n'
        Path('done').touch()
        ```
        """)
    )
    script = script_of([Block(ROOT / 'x.md', 1, b.language, b.code, b.comments)
                        for b in blocks_of(page)])  # fmt: skip
    (tmp_path / 'script.py').write_text(script)
    subprocess.run([sys.executable, 'script.py'], cwd=tmp_path, check=True)
    assert (tmp_path / 'done').exists()


def test_options_for_the_test_go_to_tools_alone(tmp_path):
    code = 'echo a\npython tools/train.py x.py \\\n  --seed 1\n'
    block = Block(ROOT / 'x.md', 1, 'bash', code, {'test with': '--cfg-options a=1'})
    script = script_of([block])
    assert 'echo a\\n' in script
    assert re.search(r'python tools/train.py x.py +--seed 1 --cfg-options a=1', script)
