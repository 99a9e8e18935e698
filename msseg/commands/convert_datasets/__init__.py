"""Converters of public data sets: a module each, with ``main(argv)``."""

from __future__ import annotations

# what users write, which is the module's name, too: what it is
DATASETS = {
    'camvid': 'CamVid: 11 classes of streets, from its archives or folders',
    'chase_db1': 'CHASE_DB1: vessels of the retina, from its archive',
    'cityscapes': 'Cityscapes: training indices next to its label files',
    'drive': 'DRIVE: vessels of the retina, from its two archives',
    'hrf': 'HRF: vessels of the retina, from its six archives',
    'stare': 'STARE: vessels of the retina, from its three archives',
}
