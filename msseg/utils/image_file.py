"""Reading image files: decoded whole, or an error that names the file."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

COLOR_TYPES = {
    'color': cv2.IMREAD_COLOR,
    'grayscale': cv2.IMREAD_GRAYSCALE,
    'unchanged': cv2.IMREAD_UNCHANGED,
    'color_ignore_orientation': cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_COLOR,
    'grayscale_ignore_orientation': cv2.IMREAD_IGNORE_ORIENTATION | cv2.IMREAD_GRAYSCALE,
}
BACKENDS = ('cv2', 'pillow')

_PNG_END = b'IEND\xaeB`\x82'
_JPEG_END, _JPEG_SCAN = b'\xff\xd9', b'\xff\xda'
_MEAN_COLOUR = (124, 117, 104)  # behind transparent pixels, as MMCV has it


def read_bytes(path: str | Path) -> bytes:
    """Read a file whole.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, or a PNG or JPEG file without its end.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f'{path}: there is no such file') from None
    if not data:
        raise ValueError(f'{path}: the file is empty; copy or download it again')
    if not is_whole(data):
        raise ValueError(
            f'{path}: the image is truncated: {len(data)} bytes without the end of the picture; '
            'copy or download it again'
        )
    return data


def is_whole(data: bytes) -> bool:
    """Tell whether a file has its end: False for a PNG or JPEG file without it.

    Decoders fill what is missing with grey and go on, so a cut file must be found here.
    """
    if data[:4] == b'\x89PNG':
        return data.endswith(_PNG_END) or _PNG_END in data[-4096:]
    if data[:2] == b'\xff\xd8':
        return data.endswith(_JPEG_END) or data.rfind(_JPEG_END) > data.rfind(_JPEG_SCAN)
    return True


def decode_image(data: bytes, path: str | Path, color_type: str, backend: str) -> np.ndarray:
    """Decode an image.

    Args:
        data: The file's content.
        path: The file's name, for errors.
        color_type: A key of `COLOR_TYPES`.
        backend: ``cv2`` or ``pillow``.

    Returns:
        (h, w, 3) in BGR order, or (h, w) for grayscale; ``unchanged`` gives what the file holds.

    Raises:
        ValueError: It cannot be decoded.

    Source: MMCV 1.7 ``mmcv.imfrombytes``.
    """
    if backend == 'cv2':
        try:
            img = cv2.imdecode(np.frombuffer(data, np.uint8), COLOR_TYPES[color_type])
        except cv2.error:
            img = None
        if img is None:
            raise ValueError(_undecodable(path, data))
        return img
    try:
        return _decode_with_pillow(data, color_type)
    except Exception as error:
        raise ValueError(f'{_undecodable(path, data)} ({error})') from None


def _decode_with_pillow(data: bytes, color_type: str) -> np.ndarray:
    img = Image.open(io.BytesIO(data))
    img.load()
    if color_type == 'unchanged':
        array = np.array(img)
        if array.ndim == 3 and array.shape[2] >= 3:
            array[:, :, :3] = array[:, :, (2, 1, 0)]
        return array
    if not color_type.endswith('ignore_orientation'):
        img = ImageOps.exif_transpose(img)
    if img.mode == 'LA':
        behind = Image.new('RGB', img.size, _MEAN_COLOUR)
        rgba = img.convert('RGBA')
        behind.paste(rgba, mask=rgba.split()[3])
        img = behind
    if color_type.startswith('color'):
        return np.ascontiguousarray(np.array(img.convert('RGB'))[:, :, ::-1])
    return np.array(img.convert('RGB').convert('L'))


def _undecodable(path: str | Path, data: bytes) -> str:
    return (
        f'{path}: cannot be decoded as an image (its first bytes are {data[:8]!r}); '
        'it is damaged or of another format: copy it again, or save it as PNG or JPEG'
    )
