"""The options of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msseg.deploy.metadata import Port
from msseg.utils.errors import UserValueError, check_one_of
from msseg.utils.extras import import_extra

FORMATS = ('mindir', 'onnx', 'air')


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        file_format: One of `FORMATS`.
        size: The images' (h, w).
        batch: Number of images at once.
        argmax: Whether the file gives labels instead of logits.
        include_preprocessing: Whether the file takes bytes as ``cv2.imread`` gives them, and
            normalises them itself.
        dynamic: Whether the file takes images of any size, and any number of them.

    Examples:
        >>> print(ExportOptions('onnx', (512, 1024)).input_port(channels=3))
        image float32 (1, 3, 512, 1024)
    """

    file_format: str
    size: tuple[int, int]
    batch: int = 1
    argmax: bool = False
    include_preprocessing: bool = False
    dynamic: bool = False

    def check(self, out: str | Path, device: str) -> None:
        """Make the file's folder; raise if the options do not fit each other, file or device."""
        out, ending = Path(out), f'.{self.file_format}'
        check_one_of('--format', self.file_format, FORMATS)
        if out.suffix != ending:
            expected = f'a name that ends in {ending} for --format {self.file_format}'
            raise UserValueError(key='--out', got=str(out), expected=expected)
        for key, got, numbers in (
            ('--size', self.size, self.size),
            ('--batch', self.batch, [self.batch]),
        ):
            if min(numbers) < 1:
                raise UserValueError(key=key, got=got, expected='numbers from 1')
        if self.dynamic and self.batch != 1:
            problem = '--dynamic takes any number of images at once'
            raise UserValueError(problem, key='--batch', got=self.batch, advice='leave --batch out')
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
            raise UserValueError(
                f"Ascend's compiler makes AIR files, and this process computes on {device}",
                key='--format',
                got='air',
                advice='export on a machine with an Ascend card, or take mindir or onnx',
            )
        if self.dynamic:
            problem = 'an AIR file has a fixed size'
            raise UserValueError(problem, key='--dynamic', got=True, advice='leave --dynamic out')

    def input_port(self, channels: int) -> Port:
        """Return the file's input for images of some channels."""
        n, h, w = self._shape
        if self.include_preprocessing:
            meaning = 'the image as cv2.imread gives it, in BGR order'
            return Port('image', 'uint8', 'NHWC', (n, h, w, channels), meaning)
        meaning = 'the image, normalised, its channels in the order of preprocessing'
        return Port('image', 'float32', 'NCHW', (n, channels, h, w), meaning)

    def output_port(self, channels: int) -> Port:
        """Return the file's output for logits of some channels."""
        n, h, w = self._shape
        if self.argmax:
            return Port('labels', 'int32', 'NHW', (n, h, w), 'labels')
        return Port('logits', 'float32', 'NCHW', (n, channels, h, w), 'logits')

    @property
    def _shape(self) -> tuple[int | None, int | None, int | None]:
        return (None,) * 3 if self.dynamic else (self.batch, *self.size)
