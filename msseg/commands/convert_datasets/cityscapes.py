"""Make Cityscapes' labelTrainIds from its labelIds, and train.txt, val.txt and test.txt.

Example:
    msseg convert-dataset cityscapes data/cityscapes --nproc 8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from msseg.datasets.cityscapes import LABEL_ID_MAP
from msseg.datasets.pipelines.label_file import read_label
from msseg.datasets.result_files import write_label_file
from msseg.utils.atomic import atomic_write_text
from msseg.utils.cli import CommandParser
from msseg.utils.outputs import Outputs
from msseg.utils.progress_bar import progress_bar

_LABEL_IDS = '_labelIds.png'
_TRAIN_IDS = '_labelTrainIds.png'
_SPLITS = ('train', 'val', 'test')


def convert_cityscapes(
    root: Path, gt_dir: str = 'gtFine', out_dir: Path | None = None, num_processes: int = 1
) -> dict[str, int]:
    """Write a labelTrainIds file for each labelIds file, and ``train.txt``, ``val.txt``, ….

    Args:
        root: The Cityscapes folder.
        gt_dir: Folder of the labels in it: ``gtFine`` or ``gtCoarse``.
        out_dir: Where to write; beside the labelIds, and the lists in `root`, by default.
        num_processes: Number of files converted at a time.

    Returns:
        Number of labels converted in each split.

    Raises:
        FileNotFoundError: The folder, or every labelIds file, is missing.
        ValueError: A file is no label of one channel; the message names it.
        FileExistsError: A file to write is there that msseg has not written.
    """
    labels = root / gt_dir
    if not labels.is_dir():
        raise FileNotFoundError(
            f'{labels}: there is no such folder; give the Cityscapes folder, which holds '
            f'leftImg8bit and {gt_dir}'
        )
    files = sorted(labels.rglob(f'*{_LABEL_IDS}'))
    if not files:
        raise FileNotFoundError(
            f'{labels}: there is no *{_LABEL_IDS} in it; unpack {gt_dir}_trainvaltest.zip there'
        )
    out = root if out_dir is None else out_dir
    outputs = Outputs(files)
    # `gt_dir` itself may be a link to where the labels lie
    targets = outputs.files(
        out / gt_dir,
        [
            (file.relative_to(labels).as_posix().removesuffix(_LABEL_IDS) + _TRAIN_IDS)
            for file in files
        ],
        'labelTrainIds',
    )
    lists = _split_lists(labels, files, gt_dir)
    for path in outputs.files(out, [f'{split}.txt' for split in lists], 'lists of the splits'):
        _check_list(path, lists[path.stem])
    if num_processes > 1:
        with ProcessPoolExecutor(num_processes) as pool:
            done = pool.map(_convert_file, files, targets, chunksize=8)
            list(progress_bar(done, len(files)))
    else:
        for file, target in progress_bar(list(zip(files, targets, strict=True))):
            _convert_file(file, target)
    for split, names in lists.items():
        atomic_write_text(out / f'{split}.txt', '\n'.join(names) + '\n')
    return {split: len(names) for split, names in lists.items()}


def _convert_file(file: Path, target: Path) -> None:
    write_label_file(target, read_label(file, LABEL_ID_MAP))


def _split_lists(labels: Path, files: list[Path], gt_dir: str) -> dict[str, list[str]]:
    """Return the names of each split's labels, without suffix; splits without any are left out."""
    lists = {
        split: [
            file.relative_to(labels / split).as_posix().removesuffix(f'_{gt_dir}{_LABEL_IDS}')
            for file in files
            if labels / split in file.parents
        ]
        for split in _SPLITS
    }
    return {split: names for split, names in lists.items() if names}


def _check_list(path: Path, names: list[str]) -> None:
    """Raise FileExistsError when a list is there that holds other names: it may be the user's."""
    if path.exists() and not set(path.read_text(encoding='utf-8').split('\n')) <= {*names, ''}:
        raise FileExistsError(
            f'{str(path)!r} is there already and lists other names: move it away, or name another '
            'folder with --out-dir'
        )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Make *_labelTrainIds.png from *_labelIds.png, and the lists of the splits.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('cityscapes_path', type=Path, help='holds leftImg8bit and gtFine')
    parser.add_argument('--gt-dir', default='gtFine', help='folder of the labels in it')
    parser.add_argument('-o', '--out-dir', type=Path, help='where to write; in place by default')
    parser.add_argument('--nproc', type=int, default=1, help='number of processes')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the labels."""
    args = parse_args(argv)
    counts = convert_cityscapes(args.cityscapes_path, args.gt_dir, args.out_dir, args.nproc)
    print(f'wrote labelTrainIds: {counts}')
