"""Convert an exported ONNX file for MindSpore Lite: ``python deploy/convert_to_lite.py IN OUT``.

Runs in the Python that MindSpore Lite is installed in (3.7 for its version 2.0.0) and needs nothing
else, neither msseg nor MindSpore. A .mindir holds the network for MindSpore Lite on servers, a .ms
the network for small devices; OUT.json gets what IN.json says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

_SAVE_TYPES = {'.mindir': 'MINDIR', '.ms': 'MINDIR_LITE'}


def convert(source: Path, target: Path) -> None:
    """Convert a file and its metadata.

    Args:
        source: An .onnx file with its .json beside it.
        target: A .mindir or .ms file.

    Raises:
        ImportError: MindSpore Lite is not installed.
        FileNotFoundError: The file or its metadata are not there.
        ValueError: Another suffix, or MindSpore Lite refuses the file.
    """
    if source.suffix != '.onnx' or target.suffix not in _SAVE_TYPES:
        raise ValueError(f'expected IN.onnx and OUT.mindir or OUT.ms, got {source} and {target}')
    described = Path(f'{target}.json')
    for path in (target, described):
        for read in (source, Path(f'{source}.json')):
            if path.exists() and read.exists() and path.samefile(read):
                raise ValueError(f'{path} is {read}, which is read: give another name')
    metadata = json.loads(Path(f'{source}.json').read_text(encoding='utf-8'))
    os.environ.setdefault('GLOG_v', '4')  # or it writes a line for each node
    import mindspore_lite as lite

    converter = lite.Converter()
    converter.save_type = getattr(lite.ModelType, _SAVE_TYPES[target.suffix])
    converter.input_format = lite.Format.NCHW
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


def main() -> None:
    """Convert what the command line says."""
    parser = argparse.ArgumentParser(description='Convert an ONNX file for MindSpore Lite.')
    parser.add_argument('source', help='.onnx file of tools/export.py, its .json beside it')
    parser.add_argument('target', help='.mindir or .ms file to write')
    args = parser.parse_args()
    try:
        convert(Path(args.source), Path(args.target))
    except (OSError, ImportError, ValueError) as error:
        sys.exit(f'error: {" ".join(str(error).split())}')


if __name__ == '__main__':
    main()
