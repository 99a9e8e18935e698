"""Damaged and hostile configs and checkpoints: each is done, or refused in one line.

``python endurance/fuzz.py --configs 2000 --checkpoints 500 --seed 0``

Every case follows from the seed and its number alone; ``--only configs:17`` repeats one and keeps
its file. Cases run in worker processes, one after the other. A case fails when an exception leaves
a tool that is none of a user's mistakes, when the worker dies, takes longer than `MOST_S` or more
memory than `MOST_BYTES`, or when a tool says that it did what it did not.
"""

from __future__ import annotations

import argparse
import binascii
import contextlib
import io
import json
import math
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
MOST_S = 60
MOST_BYTES = 4 * 2**30
CASES_PER_WORKER = 100

SCALARS = [
    None, True, False, 0, 1, -1, 2, 3, 255, 10**12, 2**31, 2**63, 10**400, -(10**400), 0.0, -0.0,
    0.5, 1e-320, 1e308, math.inf, -math.inf, math.nan, '', 'x', 'BN', 'maybe', '../..', '/', '\0',
    'x' * 10_000, '\x1b[31m', '\u202e', '冰', '{{ _base_.a }}', '{{ fileDirname }}', '%s', '*',
]  # fmt: skip
STRUCTURES = [
    [], {}, [[]], [None], [1], [0.5, 0.5], [1, 2, 3], ['x'], {'type': 'x'}, {'type': None}, [{}],
    {'type': []}, {'': 1}, {'a.b': 1}, {'_delete_': True}, {'*': 1}, {'0': {}}, {'_base_': 'x.py'},
]  # fmt: skip
EXPRESSIONS = [
    '(0,)', '(1, 2)', 'set()', '{1, 2}', 'range(3)', 'b"x"', '1j', '...', 'object()', 'iter([])',
    'open(__file__)', '__import__("os").environ', 'dict(__import__("os").environ)', 'lambda: 1',
    'len', 'int', '__import__("typing").List', '__import__("re").compile("x")',
    'list(range(10**5))', '__import__("numpy").zeros(3)', '__import__("numpy").int64(3)',
    '__import__("numpy").nan',
    '__import__("pathlib").Path("x")', '[[]] * 10**6', '"x" * 10**7', '__import__("sys").exit(0)',
]  # fmt: skip
STATEMENTS = [
    'import sys; sys.exit(0)', 'raise SystemExit', 'raise KeyboardInterrupt', 'exit()', 'x = y',
    'x = {}; x["x"] = x', 'x = []; x.append(x)', 'x = "a" * 10**8', 'def f(): f()\nf()', '\0',
    'del model', '_base_ = []', '_base_ = "x.py"', '_base_ = ["./config.py"]', 'filename = 1',
    'a = (', 'model = data', 'optimizer = [optimizer]', 'data = None', 'model = model["type"]',
    '_base_ = "msseg::x.py"', 'custom_imports = dict(imports=["no_such"])', 'custom_imports = 5',
    'custom_imports = ["os"]', 'import msseg.nothing', 'class E(BaseException): pass\nraise E',
    'from os import environ', 'assert 0', 'import mmcv', 'globals().clear()', 'data = data["x"]',
]  # fmt: skip
TAGS = [
    '!!python/name:shutil.rmtree', '!!python/object/apply:os.system [x]', '!!int x', '!x', '&a *a',
    '!!python/tuple [1]', '!!binary x', '!!set {x}', '!!timestamp 9', '2001-99-99', '*a', '- - - -',
]  # fmt: skip

# Of checkpoints: shapes, types, names and descriptions.
DIMS = [[], [0], [-1], [-4, -4], [2**62, 4], [0, 2**62], [1] * 100, [2**31], [3, 2**63 - 1]]
KINDS = [
    'Int4', 'str', '', 'Float64', 'Float16', 'BFloat16', 'Bool', 'x' * 10**5, 'Complex64', 'Int8',
]  # fmt: skip
NAMES = ['meta', '', 'x' * 10**5, 'optimizer.x', '../x', '\x1b[31m', 'ema.x']
METAS = [
    '[' * 10**5, '[]', 'null', '7', '{"iter": "x"}', '{"iter": 1e999}', '{"config": 5}', '"x"', '',
    '{"CLASSES": 5}', '{"a":' * 10**4, '{"iter": -5}',
]  # fmt: skip

# Of command lines: keys and texts of --cfg-options.
KEYS = [
    'model.decode_head.num_classes', 'data.train.pipeline.*.type', 'data.train.pipeline.99', 'a..b',
    'optimizer', 'optimizer.lr.x', 'runner.max_iters', 'x', '*', 'model[0]', '.', 'work_dir',
    'data.val.pipeline.1.transforms.0.keep_ratio', 'evaluation._delete_', 'custom_imports', 'seed',
    'model.test_cfg.mode', 'data.train.classes', 'log_config.hooks.0', 'a' * 5000,
    '.'.join('a' * 3000),
]  # fmt: skip
TEXTS = [
    '', '[', '(1', '"', '"a', '[1,2', 'a,b', '{}', '[' * 20_000, '(' * 200 + ')' * 200, 'nan', '-',
    '1e999', '9' * 5000, '\x1b[31m', '{{ _base_.a }}', 'None', 'true', '[a=1]', '[1,[2,(3,)]]',
]  # fmt: skip
# What the small config gets: an evaluation within the run, and something to test.
MORE = "evaluation['interval'] = 6\ndata['test'] = data['val']\n"


def nasty_value(rng: np.random.Generator) -> Any:
    """Return a value that no setting expects; one that JSON can hold."""
    kind = rng.integers(8)
    if kind < 5:
        return SCALARS[rng.integers(len(SCALARS))]
    if kind < 7:
        return STRUCTURES[rng.integers(len(STRUCTURES))]
    value: Any = nasty_value(rng)
    for _ in range(rng.choice([1, 5, 200])):
        value = [value] if rng.integers(2) else {'a': value}
    return value


class Expression:
    """Python text in place of a value."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def mutate_values(settings: Any, rng: np.random.Generator, with_code: bool) -> Any:
    """Change one to three places of nested settings."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        node = settings
        while True:
            keys = list(node if isinstance(node, dict) else range(len(node)))
            if not keys:
                break
            key = keys[rng.integers(len(keys))]
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.85:
                node = node[key]
                continue
            deed = rng.integers(10)
            if deed < 6:
                node[key] = nasty_value(rng)
            elif deed == 6 and with_code:
                node[key] = Expression(EXPRESSIONS[rng.integers(len(EXPRESSIONS))])
            elif deed == 7:
                del node[key]
            elif isinstance(node, dict):
                name = str(key)
                node[name[:-1] + 'x' if deed == 8 else name + name[-1:]] = node.pop(key)
            else:
                node.insert(key, node[key])
            break
    return settings


def mutate_text(text: str, rng: np.random.Generator, extra: list[str]) -> bytes:
    """Cut, repeat, spoil or insert something in a text."""
    lines = text.splitlines()
    deed, place = rng.integers(8), rng.integers(len(lines))
    if deed == 0:
        text = text[: rng.integers(len(text))]
    elif deed == 1:
        del lines[place : place + rng.integers(1, 5)]
        text = '\n'.join(lines)
    elif deed == 2:
        text = '\n'.join([*lines[:place], lines[rng.integers(len(lines))], *lines[place:]])
    elif deed in (3, 4):
        lines.insert(rng.choice([0, place, len(lines)]), extra[rng.integers(len(extra))])
        text = '\n'.join(lines)
    elif deed == 5:
        at = rng.integers(len(text))
        text = text[:at] + rng.choice(list('\0\t\x1b{}[]()"\':,*&!#%@\\0é冰')) + text[at + 1 :]
    elif deed == 6:
        at = rng.integers(len(text))
        text = text[:at] + rng.choice(['[', '{"a":', '(', '- ', '-']) * 20_000 + text[at:]
    content = text.encode('utf-8', 'surrogatepass')
    if deed < 7:
        return content
    choices = [text.encode('utf-16'), b'\xef\xbb\xbf' + content, rng.bytes(200), content[:9] * 9]
    return choices[rng.integers(len(choices))]


class Configs:
    """Cases of configs, each handed to the tools that read one."""

    def __init__(self, folder: Path) -> None:
        from msseg.config import Config
        from tests.small_run import SmallRun

        self.folder = folder
        self.small = SmallRun(folder, MORE, images=4).config
        demo = ROOT / 'configs' / 'demo' / 'ocrnet_nuclei.py'
        self.settings = [
            json.dumps(Config.fromfile(path, import_custom_modules=False)._cfg_dict)
            for path in (self.small, self.small, self.small, demo)
        ]

    def write(self, rng: np.random.Generator) -> Path:
        """Write a case's config; return its path."""
        from msseg.config import Config

        settings = json.loads(self.settings[rng.integers(len(self.settings))])
        extension = rng.choice(['py', 'py', 'json', 'yaml'])
        for other in self.folder.glob('config.*'):
            other.unlink()
        path = self.folder / f'config.{extension}'
        if rng.random() < 0.65:
            settings = mutate_values(settings, rng, extension == 'py')
            if extension == 'py':
                lines = [f'{k} = {v!r}' for k, v in settings.items() if k.isidentifier()]
                path.write_text('from math import inf, nan\n' + '\n'.join(lines))
                return path
            with contextlib.suppress(TypeError, ValueError, RecursionError):
                path.write_text(json.dumps(settings))  # YAML reads it, too
                return path
        text = Config(json.loads(self.settings[0])).dump(path) or path.read_text()
        path.write_bytes(mutate_text(text, rng, STATEMENTS if extension == 'py' else TAGS))
        return path

    def run(self, rng: np.random.Generator) -> str:
        """Run one case; return what came of it.

        Raises:
            AssertionError: A tool did not keep to what this file promises.
        """
        path = self.write(rng)
        run_tool('print_config.py', path)
        if rng.random() < 0.2:
            option = f'{KEYS[rng.integers(len(KEYS))]}={TEXTS[rng.integers(len(TEXTS))]}'
            run_tool('print_config.py', self.small, '--cfg-options', option)
        result = run_tool('check_config.py', path, '--no-step', '--device', 'CPU')
        if rng.random() < 0.25:  # what is refused there, too: training has checks of its own
            result = self._train(path)
        return result

    def _train(self, path: Path) -> str:
        work_dir = self.folder / 'run'
        shutil.rmtree(work_dir, ignore_errors=True)
        options = ['--cfg-options', 'runner.max_iters=1', 'checkpoint_config.interval=1']
        result = run_tool('train.py', path, '--work-dir', work_dir, '--device', 'CPU', *options)
        if result == 'refused':
            return 'refused by train.py'
        checkpoint = next(work_dir.glob('*.ckpt'), None)
        assert checkpoint is not None, 'train.py ended well without a checkpoint'
        out = ['--work-dir', work_dir / 'scores', '--eval', 'mIoU', '--device', 'CPU']
        if run_tool('test.py', path, checkpoint, *out) == 'refused':
            return 'trained'
        assert list((work_dir / 'scores').iterdir()), 'test.py ended well without scores'
        return 'trained and tested'


class Checkpoints:
    """Cases of checkpoints, each read, looked for in a folder and converted."""

    def __init__(self, folder: Path) -> None:
        import mindspore as ms

        from msseg.runner.checkpoint import save_weights

        self.folder = folder
        generator = np.random.default_rng(0)
        weights = {
            f'backbone.layer{i}.weight': generator.standard_normal((4, i + 1, 3), np.float32)
            for i in range(3)
        }
        meta = {'iter': 3, 'epoch': 0, 'best_scores': {}, 'CLASSES': ['a'], 'config': 'a = 1\n'}
        save_weights(folder / 'own.ckpt', weights, meta)
        parameters = [{'name': name, 'data': ms.Tensor(array)} for name, array in weights.items()]
        ms.save_checkpoint(parameters, str(folder / 'plain.ckpt'))
        data = ROOT / 'tests' / 'data' / 'convert'
        others = sorted(p for p in data.iterdir() if p.suffix in ('.pth', '.safetensors'))
        self.sources = [
            folder / 'own.ckpt',
            folder / 'own.ckpt',
            folder / 'plain.ckpt',
            *others[:3],
        ]

    def write(self, rng: np.random.Generator) -> Path:
        """Write a case's checkpoint; return its path."""
        source = self.sources[rng.integers(len(self.sources))]
        content = source.read_bytes()
        if source.suffix == '.ckpt' and rng.random() < 0.7:
            content = mutate_entries(content, rng)
        else:
            content = mutate_bytes(content, rng)
        path = self.folder / 'case' / f'iter_{rng.integers(9)}{source.suffix}'
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    def run(self, rng: np.random.Generator) -> str:
        """Run one case; see `Configs.run`."""
        from msseg.runner.checkpoint import load_checkpoint
        from msseg.runner.checkpoint_file import read_meta
        from msseg.runner.find_checkpoint import find_last_checkpoint
        from msseg.utils.cli import USER_ERRORS, one_line

        path = self.write(rng)
        for read in (read_meta, lambda path: find_last_checkpoint(path.parent)):
            with contextlib.suppress(*USER_ERRORS):
                read(path)
        try:
            checkpoint = load_checkpoint(path)
        except USER_ERRORS as error:
            assert path.name in str(error), f'the file is not named: {one_line(error)}'
            return 'refused'
        arrays = {**checkpoint.weights, **checkpoint.state}
        assert sum(a.nbytes for a in arrays.values()) <= 16 * path.stat().st_size, (
            'numbers of its own'
        )
        assert all(np.array(array).shape == array.shape for array in arrays.values())
        destination = path.with_name('converted.ckpt')
        if run_tool('convert_from_torch.py', path, destination) == 'done':
            assert destination.is_file(), 'converted, but there is no file'
            assert load_checkpoint(destination).weights
            return 'converted'
        assert not destination.exists(), 'refused, but there is a file'
        return 'read'


def mutate_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, repeat or overwrite bytes."""
    spoilt = bytearray(content)
    start, length = rng.integers(len(spoilt)), rng.integers(1, 40)
    deed = rng.integers(5)
    if deed == 0:
        for _ in range(rng.integers(1, 20)):
            spoilt[rng.integers(min(len(spoilt), rng.choice([300, len(spoilt)])))] ^= (
                1 << rng.integers(8)
            )
    elif deed == 1:
        del spoilt[start:]
    elif deed == 2:
        del spoilt[start : start + length]
    elif deed == 3:
        spoilt[start:start] = spoilt[start : start + length] * rng.integers(1, 50)
    else:
        spoilt[start : start + length] = bytes(rng.integers(0, 256, length, np.uint8))
    return bytes(spoilt)


def mutate_entries(content: bytes, rng: np.random.Generator) -> bytes:
    """Change what the entries say of themselves; the checksum fits."""
    from mindspore.train.checkpoint_pb2 import Checkpoint as Message

    has_checksum = content[-17:].startswith(b'crc_num')
    message = Message.FromString(content[:-17] if has_checksum else content)
    for _ in range(rng.integers(1, 3)):
        entry = message.value[rng.integers(len(message.value))]
        deed, tensor = rng.integers(7), entry.tensor
        if deed < 2:
            dims = [
                [],
                [0],
                [-1],
                [-4, -4],
                [2**62, 4],
                [0, 2**62],
                [1] * 100,
                [2**31],
                [3, 2**63 - 1],
            ]
            tensor.dims[:] = dims[rng.integers(len(dims))]
        elif deed == 2:
            kinds = [
                'Int4',
                'str',
                '',
                'Float64',
                'Float16',
                'BFloat16',
                'Bool',
                'x' * 10**5,
                'Complex64',
            ]
            tensor.tensor_type = kinds[rng.integers(len(kinds))]
        elif deed == 3:
            tensor.tensor_content = tensor.tensor_content[: rng.integers(100)] * rng.integers(3)
        elif deed == 4:
            names = [
                'meta',
                '',
                'x' * 10**5,
                'optimizer.x',
                '../x',
                message.value[0].tag,
                '\x1b[31m',
            ]
            entry.tag = names[rng.integers(len(names))]
        elif deed == 5:
            message.value[0].tag = 'meta'
            message.value[0].tensor.tensor_type = 'str'
            meta = METAS[rng.integers(len(METAS))]
            message.value[0].tensor.tensor_content = meta.encode('utf-32-le')
        else:
            message.value.append(entry)
    content = message.SerializeToString()
    if not has_checksum:
        return content
    return content + b'crc_num' + binascii.crc32(content).to_bytes(10, 'big')


def run_tool(tool: str, *arguments: object) -> str:
    """Run a tool in this process.

    Returns:
        ``'done'`` for exit status 0, else ``'refused'``.

    Raises:
        AssertionError: It says more than one line of its error, or with control characters.
        Exception: What the tool let through.
    """
    from msseg.utils.logging import close_logging

    errors, before = io.StringIO(), (list(sys.path), os.getcwd(), sys.argv)
    sys.argv = [tool, *map(str, arguments)]
    status: object = 0
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    except SystemExit as end:
        status = end.code
    finally:
        close_logging()
        sys.path[:], _, sys.argv = before
        os.chdir(before[1])
    if status in (None, 0):
        return 'done'
    lines = errors.getvalue().splitlines()
    assert status in (1, 2, 130), f'{tool}: exit status {status}: {lines[-1:]}'
    if status == 2:
        assert len(lines) == 1 and len(lines[0]) < 1000, f'{tool}: {lines[-3:]}'
    if status == 1 and tool != 'check_config.py':
        assert lines and lines[-1].startswith('error: '), f'{tool}: {lines[-3:]}'
    for line in lines:
        if line.startswith('error: '):
            assert len(line) <= 900 and line.isprintable(), f'{tool}: {line!r}'
    return 'refused'


def work(kind: str, seed: int, connection: Connection) -> None:
    """Be a worker: run the cases whose numbers come in."""
    folder = Path(tempfile.mkdtemp(prefix='fuzz-'))
    os.chdir(folder)
    sys.stdin.close()
    os.dup2(os.open(folder / 'output', os.O_CREAT | os.O_WRONLY), 1)
    os.dup2(1, 2)
    try:
        os.environ.pop('MSSEG_DEBUG', None)
        cases = (Configs if kind == 'configs' else Checkpoints)(folder)
        connection.send(('ready', str(folder)))
        while (number := connection.recv()) is not None:
            rng = np.random.default_rng([seed, kind == 'configs', number])
            try:
                outcome, report = cases.run(rng), ''
            except BaseException as error:
                if isinstance(error, AssertionError):
                    outcome, report = 'failed', str(error)
                else:
                    outcome, report = 'failed', traceback.format_exc()
            connection.send((outcome, report))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """A worker process, and the case that it is at."""

    def __init__(self, kind: str, seed: int) -> None:
        context = multiprocessing.get_context('spawn')
        self.kind, self.number, self.count, self.since = kind, -1, 0, time.monotonic()
        self.connection, other = context.Pipe()
        self.process = context.Process(target=work, args=(kind, seed, other), daemon=True)
        self.process.start()
        other.close()
        self.folder = Path(self._receive()[1])

    def _receive(self) -> tuple[str, str]:
        return self.connection.recv()

    def give(self, number: int) -> None:
        """Hand it a case."""
        self.number, self.since, self.count = number, time.monotonic(), self.count + 1
        self.connection.send(number)

    def problem(self) -> str | None:
        """Return what is wrong with it, None when nothing is."""
        if not self.process.is_alive():
            return f'the process died, status {self.process.exitcode}'
        if time.monotonic() - self.since > MOST_S:
            return f'more than {MOST_S} s'
        used = psutil.Process(self.process.pid).memory_info().rss
        return f'{used / 2**30:.1f} GiB of memory' if used > MOST_BYTES else None

    def end(self) -> None:
        """Let it end, or kill it, and remove its folder."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(10)
        self.process.kill()
        self.process.join()
        shutil.rmtree(self.folder, ignore_errors=True)


def fuzz(kind: str, numbers: list[int], seed: int, jobs: int, keep: Path | None) -> list[str]:
    """Run the cases of one kind; print a line for each failure; return those lines."""
    failures, outcomes, todo = [], Counter(), list(reversed(numbers))
    workers: list[Worker] = []
    while todo or workers:
        while todo and len(workers) < jobs:
            workers.append(Worker(kind, seed))
            workers[-1].give(todo.pop())
        wait([worker.connection for worker in workers], timeout=0.2)
        for worker in list(workers):
            outcome, report = None, ''
            if worker.connection.poll():
                with contextlib.suppress(EOFError):
                    outcome, report = worker.connection.recv()
            problem = worker.problem() if outcome is None else None
            if problem is not None:
                outcome, report = 'failed', problem
            if outcome is None:
                continue
            outcomes[outcome] += 1
            if outcome == 'failed':
                failures.append(f'{kind}:{worker.number}: {report.strip()}')
                print(failures[-1], flush=True)
                if keep is not None:
                    shutil.copytree(worker.folder, keep / f'{kind}-{worker.number}', symlinks=True)
            if todo and problem is None and worker.count < CASES_PER_WORKER:
                worker.give(todo.pop())
            else:
                workers.remove(worker)
                worker.end()
    print(f'{kind}: {dict(outcomes)}', flush=True)
    return failures


def main() -> None:
    """Run from the command line; exit status 1 when a case failed."""
    parser = argparse.ArgumentParser(description='Read damaged and hostile configs, checkpoints.')
    parser.add_argument('--configs', type=int, default=2000)
    parser.add_argument('--checkpoints', type=int, default=500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=2, help='worker processes')
    parser.add_argument('--only', help='one case, such as configs:17')
    parser.add_argument('--keep', type=Path, help='folder for the files of the cases that fail')
    args = parser.parse_args()
    counts = {'configs': list(range(args.configs)), 'checkpoints': list(range(args.checkpoints))}
    if args.only:
        kind, _, number = args.only.partition(':')
        counts = {kind: [int(number)]}
    failures = []
    for kind, numbers in counts.items():
        failures += fuzz(kind, numbers, args.seed, args.jobs, args.keep)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
