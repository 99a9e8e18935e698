"""The catalogue of weights: names, addresses, sizes, hashes, licences, figures, statistics.

``catalogue.json`` next to this module is written by docs/weights.py.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msseg.utils.errors import UserKeyError, UserValueError
from msseg.utils.suggest import nearest

_FILE = Path(__file__).with_name('catalogue.json')
# eight digits at the end of a name begin the SHA-256, unless they are a date
_HASHED = re.compile(r'-(?!(?:19|20)\d\d[01]\d[0-3]\d\.)([0-9a-f]{8})\.\w+$')
# schemes of MMCV and others, and those of the catalogue
_SAME = {
    'openmmlab://': 'open-mmlab://',
    'modelzoo://': 'torchvision://',
    'huggingface://': 'hf://',
}
# files that configs of MMSegmentation 0.30 name by a path, and what they are made of
_CONVERTED = {
    'vit_base_patch16_224.pth': 'jx_vit_base_p16_224-80ecf9dd.pth',
    'vit-b16_p16_224-80ecf9dd.pth': 'jx_vit_base_p16_224-80ecf9dd.pth',
    'vit_large_p16.pth': 'jx_vit_large_p16_384-b3be5167.pth',
    'mae_pretrain_vit_base_mmcls.pth': 'mae_pretrain_vit_base.pth',
}
_HUGGING_FACE, _HUB = 'hf://', 'https://huggingface.co/'
_REPOSITORY = re.compile(r'([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?(?::([\w./-]+))?')
_UNSAFE = re.compile(r'[^\w.+-]')


@dataclass(frozen=True)
class Statistics:
    """What is subtracted from the images that a network takes, and what they are divided by.

    Attributes:
        mean: By channel.
        std: By channel.
        to_rgb: Whether the channels are red, green and blue, not blue, green and red.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool = True


@dataclass(frozen=True)
class Entry:
    """A file of weights.

    Attributes:
        name: What configs write, such as ``'open-mmlab://resnet50_v1c'``.
        address: Where it is published.
        file: Its path below `msseg_home`.
        digits: The first hexadecimal digits of its SHA-256; '' where they are not known.
        megabytes: Its size, 10^6 bytes; counted from the network where ``is_counted``.
        is_counted: Whether the size is such a count.
        companions: Names of small files that have to lie next to it.
        kind: ``'model'``, ``'backbone'``, or '' for an address that is not in the catalogue.
        style: The style of its names in `msseg.convert`; ``'backbone'`` are a backbone's own names.
        fits: The part of msseg that takes it, such as ``'ResNetV1c(depth=50)'``; of a model, its
            config in MMSegmentation 0.30.
        licence: As its publisher states it.
        data: What it was trained on.
        metric: What ``figure`` is.
        figure: The published score, in percent.
        multi_scale: The same over several scales with flips.
        statistics: Of the images that it takes.
    """

    name: str
    address: str
    file: str
    digits: str = ''
    megabytes: float | None = None
    is_counted: bool = False
    companions: tuple[str, ...] = ()
    kind: str = ''
    style: str = 'auto'
    fits: str = ''
    licence: str = ''
    data: str = ''
    metric: str = ''
    figure: float | None = None
    multi_scale: float | None = None
    statistics: Statistics | None = None

    @property
    def size(self) -> str:
        """The size as a text, such as ``'about 98.9 MB'``."""
        if self.megabytes is None:
            return 'size not known'
        return f'{"about " if self.is_counted else ""}{self.megabytes:.4g} MB'


@functools.cache
def _entries() -> dict[str, Entry]:
    content = json.loads(_FILE.read_text(encoding='utf-8'))
    statistics = {
        name: Statistics(tuple(mean), tuple(std), to_rgb)
        for name, (mean, std, to_rgb) in content['statistics'].items()
    }
    entries: dict[str, Entry] = {}
    for section in content['sections']:
        shared = {key: section[key] for key in section.keys() - {'columns', 'rows', 'folder'}}
        for row in section['rows']:
            own = dict(zip(section['columns'], row, strict=True))
            fields = {**shared, **{key: value for key, value in own.items() if value is not None}}
            entry = _read_fields(section['folder'], fields, statistics)
            entries[entry.name] = entry
    return entries


def _read_fields(folder: str, fields: dict[str, Any], statistics: dict[str, Statistics]) -> Entry:
    scheme, name = fields.pop('scheme'), fields['name']
    address = folder + fields.pop('path').replace('{}', name)
    file = address.rpartition('/')[2]
    if address.startswith(_HUB):  # whose files are all called alike
        file = address.removeprefix(_HUB).replace('/resolve/main/', '/')
    digits = digits_of(file) if fields.pop('has_digits', False) else ''
    fields['statistics'] = statistics[fields['statistics']]
    fields['companions'] = tuple(fields.get('companions', ()))
    fields['name'] = scheme + name
    return Entry(address=address, file=file, digits=digits, **fields)


def digits_of(name: str) -> str:
    """Return the digits of the SHA-256 in a file's name; '' if it has none.

    Examples:
        >>> digits_of('resnet50-0676ba61.pth'), digits_of('mine-20210831.pth')
        ('0676ba61', '')
    """
    match = _HASHED.search(name)
    return match[1] if match else ''


def list_entries(pattern: str = '*') -> list[Entry]:
    """Return the entries of the catalogue by name.

    Args:
        pattern: A part of the names, or a pattern with ``*``, ``?`` and ``[…]`` that they match,
            with or without what stands before ``://``.

    Examples:
        >>> [entry.name for entry in list_entries('resnet18_v1c')]
        ['open-mmlab://resnet18_v1c']
    """
    pattern = pattern.lower()
    wanted = pattern if any(sign in pattern for sign in '*?[') else f'*{pattern}*'
    return [
        entry
        for name, entry in sorted(_entries().items())
        if fnmatch.fnmatchcase(name.lower(), wanted)
        or fnmatch.fnmatchcase(name.lower().partition('://')[2], wanted)
    ]


def is_address(source: object) -> bool:
    """Return whether a text is an address or a name with a scheme, and no path."""
    return isinstance(source, str) and '://' in source


def hint_at_original(path: object) -> str:
    """Return a sentence on the entry whose file a missing path is called after; '' without one.

    Configs of MMSegmentation name files as ``pretrain/…``, which its users convert themselves.
    """
    name = Path(str(path)).name
    name = _CONVERTED.get(name, name)
    found = next((each.name for each in _entries().values() if Path(each.file).name == name), '')
    return f'msseg weights get {found} fetches the original, which {found!r} names' if found else ''


def find_entry(name: str) -> Entry:
    """Return the entry that a name on a command line stands for, or that of an address.

    Args:
        name: As in `parse_source`; the scheme may be left out where one name has that ending.

    Raises:
        KeyError: There is no such name, or there are several.
    """
    if is_address(name):
        return parse_source(name, 'NAME')
    found = [entry for key, entry in _entries().items() if key.partition('://')[2] == name]
    if len(found) == 1:
        return found[0]
    names = [entry.name for entry in found]
    if names:
        raise UserKeyError(f'{name!r} stands for {len(names)} files', expected=f'one of {names}')
    near = nearest(name, [*_entries(), *(key.partition('://')[2] for key in _entries())], 1)
    advice = 'msseg weights list shows all names'
    raise UserKeyError(f'no weights are called {name!r}', suggestions=near, advice=advice)


def parse_source(source: str, key: str) -> Entry:
    """Return the entry of an address or of a name with a scheme.

    Args:
        source: Such as ``'https://…/x.pth'``, ``'open-mmlab://resnet50_v1c'`` or, of any repository
            of Hugging Face, ``'hf://OWNER/NAME'``, with ``@REVISION`` and ``:FILE`` if need be.
        key: The setting, for messages.

    Raises:
        ValueError: An unknown name or scheme.
    """
    scheme, _, rest = source.partition('://')
    scheme = scheme.lower() + '://'
    if scheme in ('https://', 'http://'):
        return _by_address(source, key)
    scheme = _SAME.get(scheme, scheme)
    if entry := _entries().get(scheme + rest):
        return entry
    if scheme == _HUGGING_FACE:
        return _of_hugging_face(source, rest, key)
    known = [name for name in _entries() if name.startswith(scheme)]
    if known:
        near = nearest(scheme + rest, known, 1)
        advice = f"msseg weights list '{scheme}*' shows all names"
        raise UserValueError(
            key=key, got=source, expected='a name of the catalogue', suggestions=near, advice=advice
        )
    schemes = sorted({f'{name.partition("://")[0]}://' for name in _entries()})
    raise UserValueError(
        f'{key} is {source!r}: names that start with {scheme[:-3]!r} are not known',
        expected=f'the path of a file, an address with https://, or one of {schemes}',
    )


@functools.cache
def _addresses() -> dict[str, Entry]:
    return {entry.address: entry for entry in _entries().values()}


def _by_address(address: str, key: str) -> Entry:
    parts = urlsplit(address)
    plain = address.partition('?')[0].partition('#')[0]
    if entry := _addresses().get(plain):
        return entry
    name = parts.path.rpartition('/')[2]
    if not parts.hostname or not name:
        raise UserValueError(key=key, got=address, expected='the address of a file')
    if parts.username or parts.password:
        raise UserValueError(
            f'{key}: the address holds a password',
            advice='get the file yourself, and give its path',
        )
    if digits := digits_of(name):  # the name shows which content it has
        return Entry(address, address, _safe(name), digits)
    folders = [_safe(part) for part in (parts.netloc, *parts.path.split('/')[:-1]) if part]
    if parts.query:
        folders.append(hashlib.sha256(parts.query.encode()).hexdigest()[:8])
    return Entry(address, address, '/'.join((*folders, _safe(name))))


def _safe(part: str) -> str:
    """Return a part of an address as a name of a file, which leads nowhere else."""
    return _UNSAFE.sub('_', part).lstrip('.') or '_'


def _of_hugging_face(source: str, rest: str, key: str) -> Entry:
    match = _REPOSITORY.fullmatch(rest)
    if match is None or '..' in rest:
        raise UserValueError(
            key=key, got=source, expected="'hf://OWNER/NAME', with @REVISION and :FILE if need be"
        )
    repository, revision, file = match[1], match[2] or 'main', match[3] or 'model.safetensors'
    place = repository if revision == 'main' else f'{repository}@{_safe(revision)}'
    address = f'{_HUB}{repository}/resolve/{revision}/{file}'
    return Entry(source, address, f'{place}/{file}', companions=('config.json',))
