"""Packaging of msseg: requirements come from requirements.txt, the version from version.py."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def read_version() -> str:
    """Returns the version without importing msseg, whose requirements may not be there yet."""
    text = (HERE / 'msseg' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE).group(1)


def read_requirements() -> list[str]:
    """Returns the core requirements: the lines of requirements.txt that are not comments."""
    lines = (HERE / 'requirements.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


EXTRAS = {
    # writes event files with numpy and protobuf alone: neither torch nor tensorflow comes along
    'tensorboard': ['tensorboardX>=2.6'],
    'cityscapes': ['cityscapesscripts>=2.2'],
    # exporting to ONNX, and running what was exported; the latter needs onnxruntime alone
    'onnx': ['onnx>=1.17', 'onnxruntime>=1.20'],
    # TIFF files of many channels, of several pages, and windows of large ones
    'tiff': ['rasterio>=1.3'],
    'docs': ['mkdocs-material>=9.5'],
    'tests': [
        'cityscapesscripts>=2.2',
        'import-linter>=2.0',
        'onnx>=1.17',
        'onnxruntime>=1.20',
        'pytest>=8.0',
        'coverage>=7.10',
        'pytest-cov>=7.0',
        'rasterio>=1.3',
        'ruff>=0.9',
        'tensorboardX>=2.6',
        'tifffile>=2023.2',
    ],
}

setup(
    name='msseg',
    version=read_version(),
    description="Semantic segmentation on MindSpore, in MMSegmentation's mould",
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['msseg', 'msseg.*']),
    package_data={'msseg.reports': ['templates/*']},
    install_requires=read_requirements(),
    extras_require=EXTRAS,
)
