"""Weights of other projects: what is known of them, where their files lie, and fetching them.

The package needs the standard library only; nothing is fetched unless the user asks for it.
"""

from msseg.weights.catalogue import (
    Entry,
    Statistics,
    digits_of,
    find_entry,
    hint_at_original,
    is_address,
    list_entries,
    parse_source,
)
from msseg.weights.home import (
    downloads_allowed,
    fetch,
    find_file,
    local_file,
    msseg_home,
    place_of,
)
from msseg.weights.part import file_sha256
from msseg.weights.transfer import DownloadError, download

__all__ = [
    'DownloadError',
    'Entry',
    'Statistics',
    'digits_of',
    'download',
    'downloads_allowed',
    'fetch',
    'file_sha256',
    'find_entry',
    'find_file',
    'hint_at_original',
    'is_address',
    'list_entries',
    'local_file',
    'msseg_home',
    'parse_source',
    'place_of',
]
