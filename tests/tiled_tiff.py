"""A writer of tiled TIFF files, which Pillow and OpenCV only read."""

import struct
import zlib

import numpy as np

_DEFLATE = 8


def write_tiled_tiff(path, image, tile=(64, 32), compress=False, order='<', tags=()):
    """Write (h, w, 3) uint8 in RGB order; `tags` are more (number, kind, value) entries."""
    height, width, channels = image.shape
    offsets, counts = [], []
    with open(path, 'wb') as file:
        file.write((b'II*\0' if order == '<' else b'MM\0*') + bytes(4))
        for y in range(0, height, tile[0]):
            for x in range(0, width, tile[1]):
                padded = np.zeros((*tile, channels), np.uint8)
                part = image[y : y + tile[0], x : x + tile[1]]
                padded[: part.shape[0], : part.shape[1]] = part
                data = zlib.compress(padded.tobytes(), 1) if compress else padded.tobytes()
                offsets.append(file.tell())
                counts.append(len(data))
                file.write(data + bytes(len(data) % 2))
        entries = {
            256: (4, [width]),
            257: (4, [height]),
            258: (3, [8] * channels),
            259: (3, [_DEFLATE if compress else 1]),
            262: (3, [2]),
            277: (3, [channels]),
            284: (3, [1]),
            322: (4, [tile[1]]),
            323: (4, [tile[0]]),
            324: (4, offsets),
            325: (4, counts),
            **{number: (kind, [value]) for number, kind, value in tags},
        }
        fields = {}
        for number, (kind, values) in entries.items():
            raw = struct.pack(f'{order}{len(values)}{"H" if kind == 3 else "I"}', *values)
            if len(raw) > 4:
                fields[number] = struct.pack(f'{order}I', file.tell())
                file.write(raw + bytes(len(raw) % 2))
            else:
                fields[number] = raw.ljust(4, b'\0')
        start = file.tell()
        file.write(struct.pack(f'{order}H', len(entries)))
        for number, (kind, values) in sorted(entries.items()):
            file.write(struct.pack(f'{order}HHI', number, kind, len(values)) + fields[number])
        file.write(bytes(4))
        file.seek(4)
        file.write(struct.pack(f'{order}I', start))
