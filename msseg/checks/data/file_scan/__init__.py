"""Looking at the files of a data set one pair at a time, without raising for what is wrong.

Worker processes of `msseg.checks.data` import this and nothing above it, so that they start
fast and stay small.
"""

from msseg.checks.data.file_scan.image_scan import ImageScan, scan_image
from msseg.checks.data.file_scan.label_scan import LabelScan, scan_label
from msseg.checks.data.file_scan.pair_scan import PairScan, PairTask, prepare_worker, scan_pair

__all__ = [
    'ImageScan',
    'LabelScan',
    'PairScan',
    'PairTask',
    'prepare_worker',
    'scan_image',
    'scan_label',
    'scan_pair',
]
