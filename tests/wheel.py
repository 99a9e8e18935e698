"""Build the wheel, install it outside of the clone, and use it from an empty folder.

    python -m tests.wheel                               # beside the packages of this Python
    python -m tests.wheel /path/to/python3.12           # in a new environment of another Python
    python -m tests.wheel --others                      # of 3.10 and 3.12, where they are found

The last two install the requirements of constraints.txt, for which they need a package index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_BUILT_FROM = ('.git', '.venv', '.venvs', 'work_dirs', '__pycache__', 'build', '*.egg-info')
NAME = 'unet_nuclei'
FEW_STEPS = (
    'runner.max_iters=2', 'evaluation.interval=2', 'checkpoint_config.interval=2',
    'data.workers_per_gpu=1',
)  # fmt: skip
IMAGE = 'demo/nuclei/images/val'
IN_PYTHON = f"""
import msseg
model = msseg.load('work_dirs/{NAME}')
result = model('{{image}}')
assert result.probabilities.argmax(0).shape == result.labels.shape
result.overlay().save('overlay.png')
print([str(file) for file in result.save('saved')], '{NAME}' in msseg.list_models('unet*'))
print(msseg.__file__)
"""
TRAINED_IN_PYTHON = f"""
import msseg
few = {{'runner.max_iters': 1, 'evaluation.interval': 1, 'data.workers_per_gpu': 0}}
run = msseg.train('{NAME}', few, work_dir='from_python', validate=False, seed=0)
model = msseg.load(run.work_dir)
print(run.iter, model.classes)
"""


def build(folder: Path) -> tuple[Path, Path]:
    """Build an sdist from a copy of the clone, and the wheel from that; return both."""
    copy = folder / 'source'
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_BUILT_FROM), symlinks=True)
    run([sys.executable, 'setup.py', '-q', 'sdist', '-d', folder], copy)
    [sdist] = folder.glob('msseg-*.tar.gz')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'wheel', '-q']
    run([*pip, '--no-deps', '--no-build-isolation', '-w', folder, sdist], folder)
    [wheel] = folder.glob('msseg-*.whl')
    return sdist, wheel


@dataclass
class Installed:
    """An installation: its command, its Python, and what they need in the environment."""

    command: Path
    python: Path
    package: Path
    variables: dict[str, str]

    def __call__(self, folder: Path, *words: object, of: str = 'msseg') -> str:
        """Run the command, or with of='python' a script; return what it prints."""
        first = [self.command] if of == 'msseg' else [self.python, '-c']
        kept = {k: v for k, v in os.environ.items() if not k.startswith(('PYTHON', 'PYTEST'))}
        return run([*first, *words], folder, {**kept, **self.variables})


def install_beside(wheel: Path, folder: Path) -> Installed:
    """Install the wheel alone into a folder, for this Python and its packages."""
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'install', '-q']
    run([*pip, '--no-deps', '--no-index', '--target', folder, wheel], folder.parent)
    variables = {'PYTHONPATH': str(folder)}
    return Installed(folder / 'bin' / 'msseg', Path(sys.executable), folder / 'msseg', variables)


def install_in_environment(wheel: Path, folder: Path, python: str) -> Installed:
    """Install the wheel with its requirements into a new environment of another Python."""
    run([python, '-m', 'venv', folder], folder.parent)
    own = folder / 'bin' / 'python'
    pip = [own, '-m', 'pip', '--disable-pip-version-check', 'install', '-q']
    run([*pip, '-c', ROOT / 'constraints.txt', f'{wheel}[onnx]'], folder.parent)
    try:
        run([own, '-c', 'import cv2'], folder.parent)
    except subprocess.CalledProcessError:  # no libGL here: the same OpenCV without windows
        pin = next(
            line
            for line in (ROOT / 'constraints.txt').read_text().splitlines()
            if line.startswith('opencv-python-headless==')
        )
        run([*pip, '--force-reinstall', '--no-deps', pin], folder.parent)
    [package] = folder.glob('lib/python*/site-packages/msseg')
    return Installed(folder / 'bin' / 'msseg', own, package, {})


def run(words: list[object], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program; return its output, or raise with its last lines."""
    process = subprocess.run(
        [str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if process.returncode:
        print(f'{process.stdout[-3000:]}\n{process.stderr[-5000:]}', file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, [str(word) for word in words])
    return process.stdout


def use(msseg: Installed, folder: Path) -> None:
    """Do in an empty folder what a user of the wheel does first; raise where it fails."""
    folder.mkdir()
    shutil.copytree(ROOT / 'demo' / 'nuclei', folder / 'demo' / 'nuclei')
    image = min((folder / IMAGE).iterdir()).relative_to(folder)
    work_dir = f'work_dirs/{NAME}'
    page = msseg(folder, 'doctor')
    expect(f'in {msseg.package}\n', page)
    expect('works: a convolution', page)
    expect(NAME, msseg(folder, 'models', 'unet*'))
    msseg(folder, 'train', NAME, '--device', 'CPU', '--seed', 0, '--cfg-options', *FEW_STEPS)
    assert (folder / work_dir / 'iter_2.ckpt').is_file()
    expect('labelled 1 of 1', msseg(folder, 'predict', work_dir, image, '--out', 'predicted'))
    size = ('--size', 64, 64, '--images', image)
    expect('compared', msseg(folder, 'export', work_dir, *size, '--out', 'model.onnx'))
    done = msseg(folder, IN_PYTHON.replace('{image}', str(image)), of='python')
    expect(f'True\n{msseg.package / "__init__.py"}\n', done)
    same = Path('labels') / f'{image.stem}.png'
    assert (folder / 'saved' / same).read_bytes() == (folder / 'predicted' / same).read_bytes()
    expect("1 ('background', 'nucleus')", msseg(folder, TRAINED_IN_PYTHON, of='python'))


def find_others() -> list[str]:
    """Return a Python 3.10 and a 3.12 of this machine, without this process's own."""
    found = []
    for version in ('3.10', '3.12'):
        pyenv = Path(os.environ.get('PYENV_ROOT') or Path.home() / '.pyenv')
        names = [shutil.which(f'python{version}'), *pyenv.glob(f'versions/{version}.*/bin/python')]
        test = f'import ensurepip, sys; sys.exit("%d.%d" % sys.version_info[:2] != "{version}")'
        works = (
            str(n)
            for n in names
            if n and not subprocess.call([n, '-c', test], stderr=subprocess.DEVNULL)
        )
        is_own = sys.version.startswith(f'{version}.')
        found += [] if is_own else list(works)[:1]
    return found


def expect(part: str, text: str) -> None:
    """Raise AssertionError unless a text has a part."""
    assert part in text, f'{part!r} is not in:\n{text}'


def names_in(wheel: Path) -> list[str]:
    """Return the names of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('pythons', nargs='*', help='other Pythons, each for a new environment')
    parser.add_argument('--others', action='store_true', help='take those that are found')
    parser.add_argument('--work', type=Path, help='folder that is kept (default: a temporary one)')
    args = parser.parse_args()
    pythons = args.pythons or [None]
    if args.others:
        pythons = find_others()
        print(f'other Pythons: {", ".join(pythons) or "none is here"}', flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.work or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _, wheel = build(folder)
        for number, python in enumerate(pythons):
            start = time.monotonic()
            place = folder / f'installed_{number}'
            installed = (
                install_in_environment(wheel, place, python)
                if python
                else install_beside(wheel, place)
            )
            half = time.monotonic()
            use(installed, folder / f'empty_{number}')
            print(
                f'{python or sys.executable}: installed in {half - start:.0f} s, '
                f'used in {time.monotonic() - half:.0f} s'
            )


if __name__ == '__main__':
    main()
