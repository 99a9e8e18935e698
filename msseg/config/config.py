"""Config: the settings of a config file, with inheritance, overrides and provenance."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msseg.config.config_dict import (
    MAX_DEPTH,
    ConfigDict,
    count_values,
    set_file,
    set_paths,
    split_key,
)
from msseg.config.custom_imports import import_modules_from_strings
from msseg.config.find_base import find_config
from msseg.config.merge import merge_dicts
from msseg.config.reader import load_file, load_text
from msseg.config.writer import to_python, to_text
from msseg.utils.atomic import atomic_write_text
from msseg.utils.errors import UserKeyError, UserTypeError, unknown_name

RESERVED_KEYS = ('filename', 'text', 'pretty_text')
OPTIONS = '--cfg-options'


class Config:
    """A config, read from a file or made from a dict.

    Keys are attributes and items; dicts inside are `ConfigDict`.

    Args:
        cfg_dict: The settings.
        cfg_text: The text of the files that they come from.
        filename: The file that they come from.
        translation_report: What became of the keys, if that file is MMSegmentation 1.x's.

    Raises:
        TypeError: `cfg_dict` is no dict.
        KeyError: A key in it is one of Config's own names.

    Examples:
        >>> cfg = Config(dict(model=dict(type='Net', heads=[dict(channels=8)])))
        >>> cfg.model.heads[0].channels
        8
        >>> cfg.merge_from_dict({'model.heads.0.channels': 4})
        >>> print(cfg.pretty_text)
        model = dict(type='Net', heads=[dict(channels=4)])
        <BLANKLINE>
        >>> cfg.explain('model.heads.0.channels')
        '--cfg-options'

    Source: MMCV 1.7 ``mmcv.Config``.
    """

    def __init__(
        self,
        cfg_dict: Mapping[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | os.PathLike | None = None,
        translation_report: Sequence[str] = (),
    ) -> None:
        if cfg_dict is None:
            cfg_dict = {}
        if not isinstance(cfg_dict, dict):
            raise TypeError(f'cfg_dict must be a dict, but got {type(cfg_dict)}')
        filename = None if filename is None else str(filename)
        if cfg_text is None:
            cfg_text = Path(filename).read_text(encoding='utf-8') if filename else ''
        if isinstance(cfg_dict, ConfigDict):
            values = cfg_dict
        else:
            count_values(cfg_dict, 'cfg_dict')
            values = ConfigDict(cfg_dict)
        for key in RESERVED_KEYS:
            if key in values:
                problem = f'{key} is reserved for config files: rename that setting'
                raise UserKeyError(problem, file=values.config_file(key))
        if values._config_path is None:
            set_paths(values, '')
        self._fill(values, filename, cfg_text, tuple(translation_report))

    def _fill(
        self, values: ConfigDict, filename: str | None, text: str, report: tuple[str, ...] = ()
    ) -> None:
        object.__setattr__(self, '_cfg_dict', values)
        object.__setattr__(self, '_filename', filename)
        object.__setattr__(self, '_text', text)
        object.__setattr__(self, '_report', report)

    @classmethod
    def fromfile(
        cls,
        filename: str | os.PathLike,
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
    ) -> Config:
        """Read a .py, .json or .yaml file with the files it inherits from.

        Args:
            filename: Path of the file, or a name; see `find_config`.
            use_predefined_variables: Fill in ``{{ fileDirname }}`` and the like.
            import_custom_modules: Import what the config lists in ``custom_imports``.

        Raises:
            FileNotFoundError: The file or one of its bases does not exist.
            ValueError, KeyError, TypeError: A file cannot be read, or does not fit its bases.
            ImportError: A module in ``custom_imports`` cannot be imported.
        """
        filename = find_config(str(filename))
        loaded = load_file(filename, use_predefined_variables)
        cfg = cls(loaded.values, loaded.text, filename, loaded.report)
        if import_custom_modules:
            cfg.import_custom_modules()
        return cfg

    @staticmethod
    def fromstring(cfg_str: str, file_format: str) -> Config:
        """Read a config from text, its bases relative to the current directory.

        Args:
            cfg_str: The text.
            file_format: ``.py``, ``.json``, ``.yaml`` or ``.yml``.
        """
        file_format = file_format if file_format.startswith('.') else f'.{file_format}'
        here = os.path.join(os.getcwd(), f'<string>{file_format}')
        loaded = load_text(cfg_str, here, file_format)
        cfg = Config(loaded.values, cfg_str, translation_report=loaded.report)
        cfg.import_custom_modules()
        return cfg

    def import_custom_modules(self) -> None:
        """Import what ``custom_imports`` lists; again only what is new.

        The modules may lie in the folder of the file that set ``custom_imports``, in that of
        this config, in the current directory or on Python's path.
        """
        custom = self._cfg_dict.get('custom_imports')
        if not custom:
            return
        if not isinstance(custom, dict):
            raise UserTypeError(
                key='custom_imports',
                got=custom,
                file=self._filename,
                expected="a dict such as dict(imports=['my_modules.my_head'])",
            )
        unknown = set(custom) - {'imports', 'allow_failed_imports'}
        if unknown:
            problem = (
                f'custom_imports takes imports and allow_failed_imports, got {sorted(unknown)}'
            )
            raise UserTypeError(problem)
        files = (custom._config_files.get('imports'), self._filename)
        folders = [os.path.dirname(os.path.abspath(f)) for f in files if f and f != OPTIONS]
        import_modules_from_strings(**custom, folders=list(dict.fromkeys([*folders, os.getcwd()])))

    @property
    def filename(self) -> str | None:
        """The file that was read, as it was named."""
        return self._filename

    @property
    def text(self) -> str:
        """The text of the files, bases first."""
        return self._text

    @property
    def translation_report(self) -> tuple[str, ...]:
        """What became of the keys of a config of MMSegmentation 1.x; () for another config."""
        return self._report

    @property
    def pretty_text(self) -> str:
        """Python text that evaluates to this config, inheritance resolved."""
        return to_python(self._cfg_dict)

    def dump(self, file: str | os.PathLike | None = None) -> str | None:
        """Write the config with inheritance resolved, in the format of the file's extension.

        Without a file, return the text in the format of the config's own file.
        """
        format_of = file or self._filename
        extension = os.path.splitext(format_of)[1] if format_of else '.py'
        text = to_text(self._cfg_dict, extension)
        if file is None:
            return text
        atomic_write_text(file, text)
        return None

    def merge_from_dict(
        self, options: Mapping[str, Any], allow_list_keys: bool = True, source: str = OPTIONS
    ) -> None:
        """Set values in the config.

        Args:
            options: Values by dotted key, as ``{'model.decode_head.0.num_classes': 2}``;
                ``'*'`` stands for every element of a list.
            allow_list_keys: Whether a number may be the index of a list's element.
            source: The origin of the values, for `explain` and errors.

        Raises:
            KeyError: An index that a list does not have.
            TypeError: A key leads through something that is neither dict nor list, or through a
                list without an index.
        """
        tree = ConfigDict()
        for key, value in options.items():
            *parents, last = split_key(key)
            if len(parents) >= MAX_DEPTH:
                raise UserKeyError(f'{key}: a key has at most {MAX_DEPTH} parts', key=key)
            count_values(value, f'{source} {key}')
            node = tree
            for part in parents:
                node = node.setdefault(part, ConfigDict())
                if not isinstance(node, dict):
                    raise UserTypeError(f'{key}: {part!r} gets a value too: {node!r}', key=key)
            node[last] = value
        if not allow_list_keys:
            self._refuse_list_keys(tree)
        set_file(tree, source)
        merged = merge_dicts(self._cfg_dict, tree)
        set_paths(merged, '')
        object.__setattr__(self, '_cfg_dict', merged)

    def _refuse_list_keys(self, tree: ConfigDict) -> None:
        pairs = [(self._cfg_dict, tree)]
        while pairs:
            values, changes = pairs.pop()
            for key, change in changes.items():
                value = values.get(key)
                if isinstance(change, dict) and isinstance(value, (list, tuple)):
                    raise UserTypeError(f'{key} is a list, and allow_list_keys is False', key=key)
                if isinstance(change, dict) and isinstance(value, dict):
                    pairs.append((value, change))

    def explain(self, key: str) -> str | None:
        """Return the file that set a key, ``'--cfg-options'``, or None if a program did.

        Args:
            key: As ``model.decode_head.1.num_classes`` or ``model.decode_head[1].num_classes``.
        """
        return self.find(key)[1]

    def find(self, key: str) -> tuple[Any, str | None]:
        """Return a dotted key's value and the file that set it; see `explain`."""
        value: Any = self._cfg_dict
        file: str | None = None
        for depth, part in enumerate(parts := split_key(key)):
            where = '.'.join(parts[:depth]) or 'the config'
            if isinstance(value, ConfigDict):
                names = {str(name): name for name in value}
                if part not in names:
                    problem = f'{where} has no key {part!r}'
                    raise unknown_name(problem, part, names, key=key)
                file = value.config_file(names[part])
                value = value[names[part]]
            elif isinstance(value, (list, tuple)):
                if not part.isdigit() or int(part) >= len(value):
                    problem = f'{where} is a list of {len(value)}: no element {part!r}'
                    raise UserKeyError(problem, key=key)
                value = value[int(part)]
            else:
                raise UserKeyError(f'{where} is {value!r}: it has no {part!r}', key=key)
        return value, file

    def __repr__(self) -> str:
        return f'Config (path: {self._filename}): {self._cfg_dict!r}'

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    def __contains__(self, key: str) -> bool:
        return key in self._cfg_dict

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == '_cfg_dict':
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        delattr(self._cfg_dict, name)

    def __getitem__(self, name: str) -> Any:
        return self._cfg_dict[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in RESERVED_KEYS:
            raise UserKeyError(f'{name} is reserved: it cannot be set', key=name)
        self._cfg_dict[name] = value

    def __delitem__(self, name: str) -> None:
        del self._cfg_dict[name]

    def __getstate__(self) -> tuple[ConfigDict, str | None, str, tuple[str, ...]]:
        return self._cfg_dict, self._filename, self._text, self._report

    def __setstate__(self, state: tuple[ConfigDict, str | None, str, tuple[str, ...]]) -> None:
        self._fill(*state)

    def __copy__(self) -> Config:
        other = type(self).__new__(type(self))
        other._fill(self._cfg_dict.copy(), self._filename, self._text, self._report)
        return other


def required(cfg: Config, key: str) -> Any:
    """Return a config's value of a dotted key; KeyError if it is missing or None."""
    value: Any = cfg
    for part in key.split('.'):
        value = value.get(part) if isinstance(value, Mapping | Config) else None
    if value is None:
        raise UserKeyError(f'config {cfg.filename!r} lacks {key!r}, which is needed', key=key)
    return value
