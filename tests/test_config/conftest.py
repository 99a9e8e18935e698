"""What the tests of configs share."""

from __future__ import annotations

import textwrap

import pytest

from msseg.config import Config


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Work in a temporary folder; `write(name, text)` puts a file there."""
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return name

    return write_file


@pytest.fixture
def load(write):
    """`load(text, **files)` writes config.py beside name.py of each of the others and reads it."""

    def load_text(text: str, **files: str) -> Config:
        for name, content in files.items():
            write(f'{name}.py', content)
        return Config.fromfile(write('config.py', text))

    return load_text
