"""What is to be exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msseg.utils.extras import import_extra
from msseg.utils.suggest import did_you_mean

FORMATS = ('mindir', 'onnx', 'air')


@dataclass(frozen=True)
class ExportOptions:
    """What is to be exported.

    Attributes:
        file_format: One of `FORMATS`.
        size: The images' (h, w).
        batch: Number of images at once.
        argmax: Give labels in place of logits.
        include_preprocessing: Take bytes as ``cv2.imread`` gives them and normalise in the file.
        dynamic: Take images of any size, and any number of them.
    """

    file_format: str
    size: tuple[int, int]
    batch: int = 1
    argmax: bool = False
    include_preprocessing: bool = False
    dynamic: bool = False

    def check(self, out: str | Path, device: str) -> None:
        """Raise before anything is built when the options are wrong.

        Args:
            out: The file to write.
            device: What this process computes on.

        Raises:
            ImportError: A package is missing.
            OSError: The file cannot be written there.
            ValueError: Anything else.
        """
        out = Path(out)
        if self.file_format not in FORMATS:
            raise ValueError(
                f'--format is {self.file_format!r}, expected one of {list(FORMATS)}.'
                f'{did_you_mean(self.file_format, FORMATS)}'
            )
        if out.suffix != f'.{self.file_format}':
            raise ValueError(
                f'--out is {str(out)!r}, but --format {self.file_format} needs a name that ends in '
                f'.{self.file_format}'
            )
        if min(*self.size, self.batch) < 1:
            raise ValueError(
                f'--size is {self.size}, --batch is {self.batch}: expected numbers from 1'
            )
        if self.dynamic and self.batch != 1:
            raise ValueError('--dynamic takes any number of images at once: leave --batch away')
        if self.file_format == 'air':
            self._check_air(device)
        if self.file_format == 'onnx':
            import_extra('onnx', 'onnx', '--format onnx')
            import_extra('onnxruntime', 'onnx', '--format onnx, to compare what it writes,')
        if out.is_dir():
            raise IsADirectoryError(f'--out is {str(out)!r}, which is a folder; give a file name')
        out.parent.mkdir(parents=True, exist_ok=True)

    def _check_air(self, device: str) -> None:
        if device != 'Ascend':
            raise ValueError(
                "--format air is made by Ascend's compiler, and this process computes on "
                f'{device}: export on a machine with an Ascend card, or take mindir or onnx'
            )
        if self.dynamic:
            raise ValueError('--format air has fixed sizes: leave --dynamic away')
