"""What an exported file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FORMAT_VERSION = 1
# Of files whose images are loaded otherwise than as three bytes a pixel, which older programs would
# take for such.
OTHER_IMAGES_VERSION = 2
_OTHER_IMAGES = {'color_type': 'color', 'max_value': None, 'percentiles': None}  # and defaults
MEANINGS = ('logits', 'labels')


@dataclass(frozen=True)
class Port:
    """The input or the output of an exported network.

    Attributes:
        name: Its name in the file.
        dtype: Numpy's name of its type.
        layout: What the axes are: ``NCHW``, ``NHWC`` or ``NHW``.
        shape: Its size; None where any will do.
        meaning: In words for the input, one of `MEANINGS` for the output.
    """

    name: str
    dtype: str
    layout: str
    shape: tuple[int | None, ...]
    meaning: str

    def __str__(self) -> str:
        axes = zip(self.layout, self.shape, strict=True)
        sizes = ', '.join(axis if length is None else str(length) for axis, length in axes)
        return f'{self.name} {self.dtype} ({sizes})'

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width."""
        return self.shape[self.layout.index('H')], self.shape[self.layout.index('W')]

    @property
    def batch(self) -> int | None:
        """Number of images."""
        return self.shape[self.layout.index('N')]


@dataclass(frozen=True)
class Preprocessing:
    """What is to be done to an image as ``cv2.imread`` gives it (BGR, uint8) or as said here.

    Attributes:
        included: Whether the file normalises by itself: it then takes the image as it is.
        to_rgb: Whether the channels are then put in RGB order.
        mean: What is subtracted from each channel, in the order after that.
        std: What each channel is divided by.
        scale: The (w, h) that the image is first resized into; None keeps its size.
        ratio: The factor that it is first resized by, when `scale` is None.
        keep_ratio: Whether resizing keeps the aspect ratio.
        color_type: As `LoadImageFromFile` has it: which channels of a file are taken.
        max_value: Likewise: which value becomes 255.
        percentiles: Likewise.
    """

    included: bool
    to_rgb: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: tuple[int, int] | None = None
    ratio: float = 1.0
    keep_ratio: bool = True
    color_type: str = 'color'
    max_value: float | None = None
    percentiles: tuple[float, float] | None = None

    @property
    def format_version(self) -> int:
        """Version of the metadata that say it."""
        others = (getattr(self, name) != usual for name, usual in _OTHER_IMAGES.items())
        return OTHER_IMAGES_VERSION if any(others) else FORMAT_VERSION


@dataclass(frozen=True)
class Metadata:
    """What an exported file says about itself, in the file or beside it as ``FILE.json``.

    Attributes:
        input: What goes in.
        output: What comes out, at the input's size.
        preprocessing: How an image becomes the input.
        classes: Names of the classes.
        palette: RGB colours of the classes.
        align_corners: How logits are resized, when the image had to be.
        threshold: For one output channel: the probability above which a pixel is class 1.
        toolbox_version: msseg's.
        format_version: Of these data.
        file_bytes: Length of the file that lies beside; None when the data are in the file.
        origin: Config, checkpoint, versions and what the comparison with the checkpoint gave.
    """

    input: Port
    output: Port
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    align_corners: bool
    threshold: float | None
    toolbox_version: str
    format_version: int = FORMAT_VERSION
    file_bytes: int | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return all of it as JSON text."""
        return json.dumps(self._plain(), indent=2) + '\n'

    def to_properties(self) -> dict[str, str]:
        """Return all of it as texts by name, each JSON: ONNX's ``metadata_props``."""
        return {name: json.dumps(value) for name, value in self._plain().items()}

    def _plain(self) -> dict[str, Any]:
        content = asdict(self)
        if self.format_version == FORMAT_VERSION:  # as programs read it that know no other
            for name in _OTHER_IMAGES:
                del content['preprocessing'][name]
        return content

    @classmethod
    def from_json(cls, text: str, who: str) -> Metadata:
        """Read what `to_json` wrote.

        Args:
            text: The JSON text.
            who: The file, for errors.

        Raises:
            ValueError: It is no JSON, or not of an exported file.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{who}: is no JSON ({error}); export the model again') from None
        return cls._from_content(content, who)

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], who: str) -> Metadata:
        """Read what `to_properties` gave.

        Args:
            properties: The texts by name; others than ours are left alone.
            who: The file, for errors.

        Raises:
            ValueError: They are not of an exported file.
        """
        names = {each.name for each in fields(cls)}
        try:
            content = {name: json.loads(text) for name, text in properties.items() if name in names}
        except (ValueError, RecursionError):
            content = {}
        return cls._from_content(content, who)

    @classmethod
    def _from_content(cls, content: Any, who: str) -> Metadata:
        version = content.get('format_version') if isinstance(content, dict) else None
        if version is None:
            raise ValueError(
                f'{who}: does not say what its input and output mean; a file for Predictor is '
                'made by tools/export.py'
            )
        if version not in (FORMAT_VERSION, OTHER_IMAGES_VERSION):
            raise ValueError(
                f'{who}: its metadata are of version {version!r}, this msseg reads versions '
                f'{FORMAT_VERSION} and {OTHER_IMAGES_VERSION}; export the model again'
            )
        try:
            optional = {'file_bytes': None, 'origin': {}}
            values = {each.name: {**optional, **content}[each.name] for each in fields(cls)}
            for name in ('input', 'output'):
                values[name] = Port(**{**values[name], 'shape': tuple(values[name]['shape'])})
            steps = {key: _tuples(value) for key, value in values['preprocessing'].items()}
            values['preprocessing'] = Preprocessing(**steps)
            for name in ('classes', 'palette'):
                values[name] = _tuples(values[name])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'{who}: its metadata are not whole ({error}); export the model again'
            ) from None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
