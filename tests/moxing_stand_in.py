"""A moxing for tests: object storage is a folder, and all that it is asked to do is noted."""

from __future__ import annotations

from pathlib import Path

_FILE = '''"""What moxing.file offers of what msseg uses."""

import os
import shutil
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def _path(url):
    return ROOT / url.removeprefix('obs://') if url.startswith('obs://') else Path(url)


def _note(*words):
    with (ROOT / 'calls.txt').open('a') as file:
        file.write(' '.join(words) + '\\n')


def exists(url):
    return _path(url).exists()


def is_directory(url):
    return _path(url).is_dir()


def copy(src_url, dst_url):
    _note('copy', src_url, dst_url)
    shutil.copyfile(_path(src_url), _path(dst_url))


def copy_parallel(src_url, dst_url):
    _note('copy_parallel', src_url, dst_url)
    if 'locked' in dst_url:
        raise OSError(f'no permission to write {dst_url}')
    time.sleep(float(os.environ.get('MOXING_TAKES_S', '0')))
    shutil.copytree(_path(src_url), _path(dst_url), dirs_exist_ok=True)
'''


class Storage:
    """Object storage in a folder, with the package that copies from it and to it.

    Args:
        root: A new folder; put it on the path to import the package.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / 'moxing').mkdir(parents=True)
        (root / 'moxing' / '__init__.py').write_text('from moxing import file\n')
        (root / 'moxing' / 'file.py').write_text(_FILE)

    def path(self, url: str) -> Path:
        """Return the folder behind a URL."""
        return self.root / url.removeprefix('obs://')

    @property
    def calls(self) -> list[str]:
        """What was copied, such as ``copy_parallel obs://bucket/data /cache/data``."""
        file = self.root / 'calls.txt'
        return file.read_text().splitlines() if file.exists() else []
