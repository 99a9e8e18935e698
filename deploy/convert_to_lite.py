"""Convert an exported ONNX file for MindSpore Lite: ``python deploy/convert_to_lite.py IN OUT``.

Runs in the Python that MindSpore Lite is installed in (3.7 for its version 2.0.0) and needs nothing
else, neither msseg nor MindSpore. A .mindir holds the network for MindSpore Lite on servers, a .ms
the network for small devices; OUT.json gets what IN.json says. With ``--ascend`` a .mindir is
compiled for the Ascend card of this machine, for one size of images or for each of ``--sizes``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Sequence  # noqa: UP035 - Python 3.7

_SAVE_TYPES = {'.mindir': 'MINDIR', '.ms': 'MINDIR_LITE'}


def convert(
    source: Path,
    target: Path,
    ascend: bool = False,
    precision: str = 'enforce_fp32',
    sizes: Sequence[tuple[int, int]] = (),
) -> None:
    """Convert a file and its metadata.

    Args:
        source: An .onnx file with its .json beside it.
        target: A .mindir or .ms file.
        ascend: Compile for Ascend.
        precision: MindSpore Lite's mode of Ascend's compiler, whose own default is
            ``'enforce_fp16'``.
        sizes: The (h, w) that a file for any size is compiled for.

    Raises:
        ImportError: MindSpore Lite is not installed.
        FileNotFoundError: The file or its metadata are not there.
        ValueError: Another suffix, options that do not fit the file, or MindSpore Lite refuses it.
    """
    if source.suffix != '.onnx' or target.suffix not in _SAVE_TYPES:
        raise ValueError(f'expected IN.onnx and OUT.mindir or OUT.ms, got {source} and {target}')
    described = Path(f'{target}.json')
    for path in (target, described):
        for read in (source, Path(f'{source}.json')):
            if path.exists() and read.exists() and path.samefile(read):
                raise ValueError(f'{path} is {read}, which is read: give another name')
    metadata = json.loads(Path(f'{source}.json').read_text(encoding='utf-8'))
    options = _ascend_options(metadata, precision, sizes) if ascend else {}
    if ascend and target.suffix != '.mindir':
        raise ValueError(f'--ascend compiles a .mindir, but OUT is {target}')
    if sizes and not ascend:
        raise ValueError('--sizes is for --ascend: other files take any size as they are')
    os.environ.setdefault('GLOG_v', '4')  # or it writes a line for each node
    import mindspore_lite as lite

    converter = lite.Converter()
    converter.save_type = getattr(lite.ModelType, _SAVE_TYPES[target.suffix])
    converter.input_format = lite.Format.NCHW
    if ascend:
        if not hasattr(converter, 'set_config_info'):
            raise ValueError('--ascend: this MindSpore Lite has no options for Ascend')
        converter.optimize = 'ascend_oriented'
        converter.set_config_info('ascend_context', options)
        if not sizes:
            converter.input_shape = {metadata['input']['name']: metadata['input']['shape']}
    part = target.with_name(f'.{target.stem}.{os.getpid()}')
    written = part.with_name(part.name + target.suffix)  # the converter adds it
    try:
        converter.convert(lite.FmkType.ONNX, str(source), str(part))
        metadata['file_bytes'] = written.stat().st_size
        part.write_text(json.dumps(metadata, indent=2) + '\n', encoding='utf-8')
        part.replace(described)
        written.chmod(0o644)
        written.replace(target)
    except RuntimeError as error:
        raise ValueError(f'{source}: MindSpore Lite cannot convert it ({error})') from None
    finally:
        for path in (part, written):
            if path.exists():
                path.unlink()


def _ascend_options(
    metadata: dict, precision: str, sizes: Sequence[tuple[int, int]]
) -> dict[str, str]:
    """Return MindSpore Lite's ``[ascend_context]``, where an open size needs a list of sizes."""
    port = metadata['input']
    is_open = None in port['shape']
    if is_open != bool(sizes):
        raise ValueError(
            f'the input is {port["shape"]}: name the sizes to compile for with --sizes'
            if is_open
            else f'--sizes: the input is {port["shape"]}, of one size already'
        )
    options = {'input_format': port['layout'], 'precision_mode': precision}
    if is_open:
        at = port['layout'].index('H'), port['layout'].index('W')
        shape = [-1 if i in at else length or 1 for i, length in enumerate(port['shape'])]
        options['input_shape'] = f'{port["name"]}:[{",".join(map(str, shape))}]'
        options['dynamic_dims'] = ','.join(f'[{h},{w}]' for h, w in sizes)
    return options


def main() -> None:
    """Convert what the command line says."""
    parser = argparse.ArgumentParser(description='Convert an ONNX file for MindSpore Lite.')
    parser.add_argument('source', help='.onnx file of tools/export.py, its .json beside it')
    parser.add_argument('target', help='.mindir or .ms file to write')
    parser.add_argument('--ascend', action='store_true', help='compile the .mindir for Ascend')
    parser.add_argument(
        '--precision',
        default='enforce_fp32',
        choices=('enforce_fp32', 'preferred_fp32', 'enforce_fp16', 'enforce_origin',
                 'preferred_optimal'),
        help='with --ascend (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=int,
        default=[],
        metavar='N',
        help='with --ascend: heights and widths in turn, for a file of any size',
    )
    args = parser.parse_args()
    pairs = list(zip(args.sizes[::2], args.sizes[1::2]))  # noqa: B905 - Python 3.7
    if len(args.sizes) % 2 or any(length < 1 for length in args.sizes):
        sys.exit(f'error: --sizes is {args.sizes}, expected H W for each size, from 1')
    try:
        convert(Path(args.source), Path(args.target), args.ascend, args.precision, pairs)
    except (OSError, ImportError, ValueError) as error:
        sys.exit(f'error: {" ".join(str(error).split())}')


if __name__ == '__main__':
    main()
