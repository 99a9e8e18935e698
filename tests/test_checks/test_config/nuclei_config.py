"""A tiny OCRNet on the demo's nuclei, as a config that inherits, to plant faults in."""

from __future__ import annotations

from pathlib import Path

from tests.tiny import CONFIG

ROOT = Path(__file__).parents[3]
_NUCLEI = f"""
for _split, _folder in (('train', 'train'), ('val', 'val'), ('test', 'val')):
    data[_split] = dict(
        type='NucleiDataset', data_root=r'{ROOT / 'demo' / 'nuclei'}', img_dir='images/' + _folder,
        ann_dir='annotations/' + _folder, pipeline=data[_split]['pipeline'])
for _name in ('norm_cfg', 'train_pipeline', 'test_pipeline'):
    del globals()[_name]
"""


def write_configs(folder: Path, more: str = '') -> Path:
    """Write base.py, which is sound, and config.py, which inherits from it and adds `more`."""
    (folder / 'base.py').write_text(CONFIG.replace('{root}', 'unused') + _NUCLEI)
    path = folder / 'config.py'
    path.write_text(f"_base_ = ['base.py']\n{more}\n")
    return path
