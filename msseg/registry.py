"""The registry: names in configs to classes, and objects built from configs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from msseg.utils.arguments import accepted_arguments, argument_hints, check_value
from msseg.utils.errors import (
    ArgumentError,
    UserError,
    UserKeyError,
    UserTypeError,
    add_lead,
    unknown_name,
)
from msseg.utils.shown import shown
from msseg.utils.upstream import explain_upstream_name
from msseg.utils.user_code import RUN_ERRORS, describe_failure


class Registry:
    """A table from names, as configs write them in ``type``, to classes or functions.

    Args:
        name: What the entries are, in the singular, as errors should call them.
        check: Raises TypeError for a class or a function that cannot be an entry.

    Examples:
        >>> CATS = Registry('cat')
        >>> @CATS.register_module()
        ... class Siamese:
        ...     def __init__(self, colour='cream', age=1):
        ...         self.colour, self.age = colour, age
        >>> CATS.get('Siamese') is Siamese
        True
        >>> CATS.build(dict(type='Siamese', age=3)).age
        3

    Source: MMCV 1.7 ``mmcv.utils.Registry``, without scopes and parents.
    """

    def __init__(self, name: str, check: Callable[[Any], None] | None = None) -> None:
        self._name = name
        self._check = check
        self._module_dict: dict[str, Callable] = {}

    @property
    def name(self) -> str:
        """What the entries are."""
        return self._name

    @property
    def module_dict(self) -> dict[str, Callable]:
        """The entries by name."""
        return self._module_dict

    def __len__(self) -> int:
        return len(self._module_dict)

    def __contains__(self, key: str) -> bool:
        return key in self._module_dict

    def __repr__(self) -> str:
        return f'Registry(name={self._name!r}, items={sorted(self._module_dict)})'

    def get(self, key: str) -> Callable | None:
        """Return the entry of that name, or None."""
        return self._module_dict.get(key)

    def build(self, cfg: dict, **default_args: Any) -> Any:
        """Build an entry from its config; see `build_from_cfg`."""
        return build_from_cfg(cfg, self, default_args or None)

    def register_module(
        self,
        name: str | Sequence[str] | None = None,
        force: bool = False,
        module: Callable | None = None,
    ) -> Callable:
        """Register a class or a function, as a decorator or by a call.

        Args:
            name: Name or names in configs; the object's own name by default.
            force: Replace an entry of the same name, which is a KeyError otherwise.
            module: The object, when not used as a decorator.

        Returns:
            The object itself, or the decorator.
        """
        if not isinstance(force, bool):
            raise TypeError(f'force must be a boolean, but got {type(force)}')
        if module is None and callable(name):
            raise TypeError(
                f'{self._name}: write @register_module() with parentheses above {name.__name__}'
            )
        names = [name] if name is None or isinstance(name, str) else name
        if name is not None and not (
            isinstance(names, (list, tuple)) and all(isinstance(each, str) for each in names)
        ):
            raise TypeError(
                f'name must be either of None, an instance of str or a sequence of str, '
                f'but got {type(name)}'
            )

        def register(entry: Callable) -> Callable:
            if not (inspect.isclass(entry) or inspect.isfunction(entry)):
                raise TypeError(f'module must be a class or a function, but got {type(entry)}')
            self.check(entry)
            for each in names:
                self._add(each or entry.__name__, entry, force)
            return entry

        return register if module is None else register(module)

    def check(self, module: Callable) -> None:
        """Raise TypeError for a class or a function that cannot be an entry."""
        if self._check is not None:
            self._check(module)

    def _add(self, name: str, entry: Callable, force: bool) -> None:
        if name in self._module_dict and not force:
            raise KeyError(
                f'{name} is already registered in {self._name} (by '
                f'{self._module_dict[name].__module__}); choose another name or pass force=True '
                'to replace it'
            )
        self._module_dict[name] = entry


def build_from_cfg(cfg: dict, registry: Registry, default_args: dict | None = None) -> Any:
    """Build an object from a dict whose ``type`` is a registered name, a class or a function.

    Args:
        cfg: The config; every key but ``type`` is an argument. It is not changed.
        registry: Where to look the name up.
        default_args: Arguments that `cfg` may leave out; may give ``type`` too.

    Returns:
        The object built.

    Raises:
        TypeError: `cfg` is no dict, `registry` no Registry, ``type`` is of a wrong type, or the
            entry does not take an argument.
        KeyError: ``type`` is missing or not registered.
        Exception: What the constructor raised, its message led by the config path.

    Examples:
        >>> SHAPES = Registry('shape')
        >>> @SHAPES.register_module()
        ... def square(size, filled=False):
        ...     return size**2, filled
        >>> build_from_cfg(dict(type='square', size=3), SHAPES, dict(filled=True))
        (9, True)
        >>> build_from_cfg(dict(type='square', sise=3), SHAPES)
        Traceback (most recent call last):
        msseg.utils.errors.UserTypeError: square takes no argument 'sise'. Did you mean 'size'?

    Source: MMCV 1.7 ``mmcv.utils.build_from_cfg``.
    """
    if not isinstance(registry, Registry):
        raise TypeError(f'registry must be a msseg.registry.Registry, but got {type(registry)}')
    if not isinstance(cfg, dict):
        raise TypeError(f'{registry.name}: cfg must be a dict, but got {type(cfg)}: {cfg!r}')
    if not (isinstance(default_args, dict) or default_args is None):
        raise TypeError(f'default_args must be a dict or None, but got {type(default_args)}')
    arguments = {**(default_args or {}), **cfg}
    where = config_path(cfg)
    if 'type' not in arguments:
        raise UserKeyError(
            f'`cfg` or `default_args` must contain the key "type", but got {cfg!r} for '
            f'{registry.name}',
            key='type',
            config_path=where,
        )
    try:
        kind = arguments.pop('type')
        entry = _look_up(kind, registry)
        name = kind if isinstance(kind, str) else entry.__name__
        where = where or name
        return _call(entry, name, arguments, cfg)
    except Exception as error:
        add_config_path(error, where)
        raise


def call_with_cfg(entry: Callable, cfg: dict, where: str = '', **default_args: Any) -> Any:
    """Call a class or a function that is in no registry with the arguments of a config.

    Args:
        entry: The class or function.
        cfg: Its arguments; errors are those of `build_from_cfg`.
        where: The config's path, for a config that does not know it; the entry's name by default.
        **default_args: Arguments that `cfg` may leave out.
    """
    where = where or entry.__name__
    if not isinstance(cfg, dict):
        raise UserTypeError(f'it is {shown(cfg)}', got=cfg, expected='a dict', config_path=where)
    try:
        name = entry.__name__ if inspect.isclass(entry) else ''
        return _call(entry, name, {**default_args, **cfg}, cfg)
    except Exception as error:
        add_config_path(error, config_path(cfg) or where)
        raise


def _call(entry: Callable, name: str, arguments: dict, cfg: dict) -> Any:
    check_arguments(entry, arguments, cfg, name)
    try:
        for argument, hint in argument_hints(entry).items():
            if argument in arguments:
                check_value(arguments[argument], hint, argument, name)
        return entry(**arguments)
    except ArgumentError as error:
        if error.key in cfg and error.config_path is None:
            error.complete(file=config_file(cfg, error.key))
        raise
    except RUN_ERRORS as error:
        values = shown({name: value for name, value in cfg.items() if name != 'type'})
        text = f'{entry.__name__} cannot be made of {values}{describe_failure(error)}'
        raise ValueError(text) from error


def check_arguments(entry: Callable, arguments: dict, cfg: dict, name: str = '') -> None:
    """Raise TypeError for an argument that a class or a function does not take.

    Args:
        entry: The class or function.
        arguments: The arguments of the call.
        cfg: The config node that they come from, for the message.
        name: The entry's name in configs; its own name by default.
    """
    accepted = accepted_arguments(entry)
    for key in arguments:
        if accepted is not None and key not in accepted:
            problem = f'{name or entry.__name__} takes no argument {key!r}'
            raise unknown_name(problem, key, accepted, UserTypeError, file=config_file(cfg, key))


def add_config_path(error: Exception, where: str) -> None:
    """Lead an exception's message with a config path that is not empty, once, in place."""
    if not where or getattr(error, 'config_path', None) is not None:
        return
    if isinstance(error, UserError):
        error.complete(config_path=where)
        return
    error.config_path = where
    message = error.args[0] if error.args else ''
    if not (isinstance(message, str) and message.startswith(f'{where}: ')):
        add_lead(error, where)


def config_path(cfg: dict) -> str:
    """Return where a config node stands (``model.decode_head[1]``), '' for a plain dict."""
    method = getattr(type(cfg), 'config_path', None)
    return method(cfg) if method else ''


def config_file(cfg: dict, key: str) -> str | None:
    """Return the file that set a node's key, None if it is not known."""
    method = getattr(type(cfg), 'config_file', None)
    return method(cfg, key) if method else None


def unknown_type(name: str, registry: Registry, **fields: Any) -> UserError:
    """Return the error for a ``type`` that a registry does not have; `fields` are the error's."""
    fields = {'key': 'type', 'got': name, **fields}
    if upstream := explain_upstream_name(name, registry.name, registry.module_dict):
        return UserKeyError(upstream, **fields)
    return unknown_name(
        f'{name} is not in the {registry.name} registry',
        name,
        registry.module_dict,
        advice='list the file of a component of your own in custom_imports',
        **fields,
    )


def _look_up(kind: Any, registry: Registry) -> Callable:
    if isinstance(kind, str):
        entry = registry.get(kind)
        if entry is None:
            raise unknown_type(kind, registry)
        return entry
    if inspect.isclass(kind) or inspect.isfunction(kind):
        registry.check(kind)
        return kind
    raise TypeError(f'type must be a str or valid type, but got {type(kind)}')
