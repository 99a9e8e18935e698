"""A writer of TIFF files whose channels are bands, no colours, in several pages."""

import struct

import numpy as np

_FORMATS = {'u': 1, 'i': 2, 'f': 3}


def write_band_tiff(path, *pages, reduced=()):
    """Write arrays (h, w, bands), uncompressed; pages of the numbers `reduced` are thumbnails."""
    content = b'II*\0'
    link = 4
    content += bytes(4)
    for number, image in enumerate(pages):
        height, width, bands = image.shape
        start = len(content)
        content += image.tobytes() + bytes(image.nbytes % 2)
        entries = {
            254: ('I', [int(number in reduced)]),
            256: ('I', [width]),
            257: ('I', [height]),
            258: ('H', [8 * image.itemsize] * bands),
            259: ('H', [1]),
            262: ('H', [1]),
            273: ('I', [start]),
            277: ('H', [bands]),
            278: ('I', [height]),
            279: ('I', [image.nbytes]),
            284: ('H', [1]),
            338: ('H', [0] * (bands - 1)),
            339: ('H', [_FORMATS[image.dtype.kind]] * bands),
        }
        if bands == 1:
            del entries[338]
        fields = []
        for tag, (kind, values) in sorted(entries.items()):
            raw = struct.pack(f'<{len(values)}{kind}', *values)
            if len(raw) > 4:
                raw, content = struct.pack('<I', len(content)), content + raw + bytes(len(raw) % 2)
            fields.append(struct.pack('<HHI', tag, 3 if kind == 'H' else 4, len(values)))
            fields.append(raw.ljust(4, b'\0'))
        place = struct.pack('<I', len(content))
        content = content[:link] + place + content[link + 4 :]
        content += struct.pack('<H', len(entries)) + b''.join(fields)
        link = len(content)
        content += bytes(4)
    path.write_bytes(content)
    return np.asarray(pages[0])
