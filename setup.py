"""Packaging of msseg: requirements come from requirements.txt, the version from version.py.

A wheel carries the folder configs/ as msseg/.mim/configs, where OpenMMLab's packages have theirs. A
checkout and an editable installation use the folder itself.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def read_version() -> str:
    """Returns the version without importing msseg, whose requirements may not be there yet."""
    text = (HERE / 'msseg' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE).group(1)


def read_requirements() -> list[str]:
    """Returns the core requirements: the lines of requirements.txt that are not comments."""
    lines = (HERE / 'requirements.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def read_description() -> str:
    """Return README.md without pictures and links to files, which lead nowhere on an index."""
    text = (HERE / 'README.md').read_text(encoding='utf-8')
    text = re.sub(r'^!\[[^\]]*\]\((?!https?://)[^)]*\)\n+', '', text, flags=re.MULTILINE)
    return re.sub(r'\[([^\]]*)\]\((?!https?://)[^)]*\)', r'\1', text)


class BuildWithConfigs(build_py):
    """Build the package with the config files inside."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / 'msseg' / '.mim' / 'configs'
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build
            shutil.copytree(
                HERE / 'configs', target, ignore=shutil.ignore_patterns('__pycache__', '*.pyc')
            )


EXTRAS = {
    # writes event files with numpy and protobuf alone: neither torch nor tensorflow comes along
    'tensorboard': ['tensorboardX>=2.6'],
    # experiment trackers
    'wandb': ['wandb>=0.17'],
    'mlflow': ['mlflow>=2.12'],
    'swanlab': ['swanlab>=0.10'],
    'cityscapes': ['cityscapesscripts>=2.2'],
    # exporting to ONNX, and running what was exported; the latter needs onnxruntime alone
    'onnx': ['onnx>=1.17', 'onnxruntime>=1.20'],
    # TIFF files of many channels, of several pages, and windows of large ones
    'tiff': ['rasterio>=1.3'],
    # the page and the interface of msseg serve
    'serve': ['fastapi>=0.115', 'python-multipart>=0.0.9', 'uvicorn>=0.30'],
    # the pages as a site, the reference made from docstrings
    'docs': ['mkdocs-material>=9.5', 'mkdocstrings[python]>=0.27'],
    'tests': [
        'cityscapesscripts>=2.2',
        'fastapi>=0.115',
        'import-linter>=2.0',
        'mkdocs-material>=9.5',
        'mkdocstrings[python]>=0.27',
        'onnx>=1.17',
        'onnxruntime>=1.20',
        'pytest>=8.0',
        'coverage>=7.10',
        'pytest-cov>=7.0',
        'python-multipart>=0.0.9',
        'rasterio>=1.3',
        'ruff>=0.9',
        'tensorboardX>=2.6',
        'tifffile>=2023.2',
        'uvicorn>=0.30',
    ],
}

setup(
    name='msseg',
    version=read_version(),
    description="Semantic segmentation on MindSpore, in MMSegmentation's mould",
    long_description=read_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='semantic-segmentation mindspore deep-learning ascend mmsegmentation',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['msseg', 'msseg.*']),
    package_data={
        'msseg.checks.selftest': ['*.json.gz'],
        'msseg.reports': ['templates/*'],
        'msseg.serving': ['assets/*'],
        'msseg.weights': ['catalogue.json'],
    },
    install_requires=read_requirements(),
    extras_require=EXTRAS,
    cmdclass={'build_py': BuildWithConfigs},
    entry_points={'console_scripts': ['msseg = msseg.commands:run']},
)
