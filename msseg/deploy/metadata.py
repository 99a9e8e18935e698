"""The description of an exported file: inputs, outputs, preprocessing and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from msseg.utils.errors import UserFileNotFoundError, UserValueError
from msseg.utils.image_loading import FROM_FILE, ImageLoading
from msseg.utils.text_file import read_user_text

FORMAT_VERSION = 1
# The versions of files whose images are not loaded as three bytes a pixel, and of those of which
# some channels are chosen, or values stand for no data: older programs must refuse them.
OTHER_IMAGES_VERSION, BANDS_VERSION = 2, 3
_VERSIONS = (FORMAT_VERSION, OTHER_IMAGES_VERSION, BANDS_VERSION)
_AGAIN = 'export the model again'
_OTHER_IMAGES = {'color_type': 'color', 'max_value': None, 'percentiles': None}  # and defaults
_BANDS = {'bands': None, 'nodata': FROM_FILE, 'nodata_rule': 'any', 'fill': 0.0, 'array': None}


@dataclass(frozen=True)
class Port:
    """The input or the output of an exported network.

    Attributes:
        name: The name in the file.
        dtype: NumPy's name of the type.
        layout: The axes: ``NCHW``, ``NHWC`` or ``NHW``.
        shape: The length of each axis; None for any length.
        meaning: A description of the input; ``logits`` or ``labels`` for the output.
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
    """The steps from an image file, loaded as ``cv2.imread`` does, to the network's input.

    Attributes:
        included: Whether the file itself normalises; it then takes loaded images.
        to_rgb: Whether the channels are put in RGB order.
        mean: Subtracted from each channel, in that order.
        std: Divides each channel.
        scale: The (w, h) that the image is resized into first; None keeps its size.
        ratio: The factor that the image is resized by when `scale` is None.
        keep_ratio: Whether resizing keeps the aspect ratio.
        color_type: See `LoadImageFromFile`, as for the rest.
        max_value: The value that becomes 255.
        percentiles: The percentiles of the values that become 0 and 255.
        bands: The channels that are taken, from 1.
        nodata: The value that stands for no data, or ``file``.
        nodata_rule: ``any`` or ``all``.
        fill: What missing values become.
        array: Name of the array of a ``.npz`` file.
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
    bands: tuple[int, ...] | None = None
    nodata: float | Literal['file'] | None = FROM_FILE
    nodata_rule: Literal['any', 'all'] = 'any'
    fill: float | tuple[float, ...] = 0.0
    array: str | None = None

    @property
    def format_version(self) -> int:
        """The version of metadata that can express these steps."""
        for version, names in ((BANDS_VERSION, _BANDS), (OTHER_IMAGES_VERSION, _OTHER_IMAGES)):
            if any(getattr(self, name) != usual for name, usual in names.items()):
                return version
        return FORMAT_VERSION

    @property
    def loading(self) -> ImageLoading:
        """How image files are loaded."""
        names = (*_OTHER_IMAGES, *_BANDS)
        return ImageLoading(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Metadata:
    """The description of an exported file, stored in the file or next to it as ``FILE.json``.

    Attributes:
        input: The network's input.
        output: The network's output, at the input's size.
        preprocessing: The steps from an image to the input.
        classes: Names of the classes.
        palette: RGB colours of the classes.
        align_corners: How logits are resized to the image's size.
        threshold: For one output channel: the probability above which a pixel is class 1.
        toolbox_version: The version of msseg.
        format_version: The version of the metadata.
        file_bytes: Length of the exported file; None in the metadata inside the file.
        origin: Config, checkpoint and version of MindSpore.
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
        """Return the metadata as JSON text."""
        return json.dumps(self._plain(), indent=2) + '\n'

    def to_properties(self) -> dict[str, str]:
        """Return the metadata as JSON texts by name, for ONNX's ``metadata_props``."""
        return {name: json.dumps(value) for name, value in self._plain().items()}

    def _plain(self) -> dict[str, Any]:
        content = asdict(self)
        # as programs read it that know no other
        unknown = {FORMAT_VERSION: {**_OTHER_IMAGES, **_BANDS}, OTHER_IMAGES_VERSION: _BANDS}
        for name in unknown.get(self.format_version, ()):
            del content['preprocessing'][name]
        return content

    @classmethod
    def from_json(cls, text: str, who: str) -> Metadata:
        """Read the text of `to_json`; errors call the file `who`."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserValueError(f'is no JSON ({error})', file=who, advice=_AGAIN) from None
        return cls._from_content(content, who)

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], who: str) -> Metadata:
        """Read the texts of `to_properties`, among others; errors call the file `who`."""
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
            raise UserValueError(
                'does not say what its input and output mean',
                file=who,
                advice='export the model with msseg export',
            )
        if version not in _VERSIONS:
            raise UserValueError(
                f'its metadata are of version {version!r}, this msseg reads versions '
                f'{FORMAT_VERSION} to {_VERSIONS[-1]}',
                file=who,
                advice=_AGAIN,
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
            problem = f'its metadata are not whole ({error})'
            raise UserValueError(problem, file=who, advice=_AGAIN) from None


def sidecar(path: str | Path) -> Path:
    """Return the path of the metadata next to an exported file: ``FILE.json``."""
    return Path(f'{path}.json')


def read_sidecar(path: str | Path) -> Metadata:
    """Read the metadata next to an exported file, and check the file's length.

    Raises:
        FileNotFoundError: The metadata do not exist.
        ValueError: They are not those of an exported file, or of a file of another length.
    """
    path, beside = Path(path), sidecar(path)
    try:
        text = read_user_text(beside, str(beside))
    except FileNotFoundError:
        raise UserFileNotFoundError(
            f'its metadata {beside.name} are not in the same folder',
            file=str(path),
            advice='keep the two files that msseg export writes together',
        ) from None
    metadata = Metadata.from_json(text, str(beside))
    length = path.stat().st_size
    if metadata.file_bytes is not None and length != metadata.file_bytes:
        raise UserValueError(
            f'has {length} bytes, not the {metadata.file_bytes} of {beside.name}: it was cut short '
            'or belongs to another export',
            file=str(path),
            advice='copy both files again',
        )
    return metadata


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
