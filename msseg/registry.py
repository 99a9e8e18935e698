"""Names in configs to classes: register, look up, build."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from msseg.utils.arguments import ArgumentError, check_value, has_bounds, type_hints
from msseg.utils.shown import shown
from msseg.utils.signature import accepted_arguments, constructors
from msseg.utils.suggest import did_you_mean
from msseg.utils.upstream_names import explain_upstream_name
from msseg.utils.user_code import RUN_ERRORS, describe_failure


class Registry:
    """A table from names, as configs write them in ``type``, to classes or functions.

    Args:
        name: What the entries are, in the singular and as errors should call them.
        check: Raises TypeError for a class or function that cannot be one of them.

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
        """Register a class or function, as a decorator or by a call.

        Args:
            name: Name or names in configs; the object's own name by default.
            force: Replace an entry of the same name.
            module: The object, when not used as a decorator.

        Returns:
            The object itself, or the decorator.

        Raises:
            TypeError: A wrong `name`, `force` or `module`.
            KeyError: The name is taken and `force` is False.
        """
        if not isinstance(force, bool):
            raise TypeError(f'force must be a boolean, but got {type(force)}')
        if module is None and callable(name):
            raise TypeError(
                f'{self._name}: write @register_module() with parentheses above {name.__name__}'
            )
        is_sequence = isinstance(name, (list, tuple)) and all(isinstance(n, str) for n in name)
        if not (name is None or isinstance(name, str) or is_sequence):
            raise TypeError(
                f'name must be either of None, an instance of str or a sequence of str, '
                f'but got {type(name)}'
            )
        if module is not None:
            self._register(module, name, force)
            return module

        def decorator(module: Callable) -> Callable:
            self._register(module, name, force)
            return module

        return decorator

    def check(self, module: Callable) -> None:
        """Raise TypeError for a class or function that cannot be an entry."""
        if self._check is not None:
            self._check(module)

    def _register(self, module: Callable, name: str | Sequence[str] | None, force: bool) -> None:
        if not (inspect.isclass(module) or inspect.isfunction(module)):
            raise TypeError(f'module must be a class or a function, but got {type(module)}')
        self.check(module)
        names = [module.__name__] if name is None else [name] if isinstance(name, str) else name
        for each in names:
            if each in self._module_dict and not force:
                where = self._module_dict[each].__module__
                raise KeyError(
                    f'{each} is already registered in {self._name} (by {where}); '
                    'choose another name or pass force=True to replace it'
                )
            self._module_dict[each] = module


def build_from_cfg(cfg: dict, registry: Registry, default_args: dict | None = None) -> Any:
    """Build an object from a dict whose ``type`` is a registered name, a class or a function.

    Args:
        cfg: The config; every key but ``type`` is an argument. It is not changed.
        registry: Where to look the name up.
        default_args: Arguments for those that `cfg` does not give; may give ``type`` too.

    Returns:
        The object built.

    Raises:
        TypeError: `cfg` is no dict, `registry` no Registry, ``type`` of a wrong kind, or an
            argument that the entry does not take.
        KeyError: ``type`` is missing, or names nothing registered.
        Exception: What the constructor raised, its message led by the config path.

    Source: MMCV 1.7 ``mmcv.utils.build_from_cfg``.
    """
    if not isinstance(cfg, dict):
        raise TypeError(f'{_of(registry)}cfg must be a dict, but got {type(cfg)}: {cfg!r}')
    if not isinstance(registry, Registry):
        raise TypeError(f'registry must be a msseg.registry.Registry, but got {type(registry)}')
    if not (isinstance(default_args, dict) or default_args is None):
        raise TypeError(f'default_args must be a dict or None, but got {type(default_args)}')

    arguments = {**(default_args or {}), **cfg}
    where = config_path(cfg)
    if 'type' not in arguments:
        raise KeyError(
            f'{_lead(where)}`cfg` or `default_args` must contain the key "type", but got {cfg!r} '
            f'for {registry.name}'
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
    """Call a class or function that stands in no registry with the arguments of a config.

    Args:
        entry: The class or function.
        cfg: Its arguments.
        where: The config's path where the config does not know it; the entry's name by default.
        **default_args: Arguments for those that `cfg` does not give.

    Returns:
        What it returns.

    Raises:
        TypeError: An argument that it does not take.
        Exception: What it raised, its message led by the config path.
    """
    if not isinstance(cfg, dict):
        raise TypeError(f'{where or entry.__name__}: it is {shown(cfg)}, expected a dict')
    try:
        name = entry.__name__ if inspect.isclass(entry) else ''
        return _call(entry, name, {**default_args, **cfg}, cfg)
    except Exception as error:
        add_config_path(error, config_path(cfg) or where or entry.__name__)
        raise


def _call(entry: Callable, name: str, arguments: dict, cfg: dict) -> Any:
    check_arguments(entry, arguments, cfg, name)
    try:
        for argument, hint in argument_hints(entry).items():
            if argument in arguments:
                check_value(arguments[argument], hint, argument, name)
        return entry(**arguments)
    except ArgumentError as error:
        file = config_file(cfg, error.argument) if error.argument in cfg else None
        if file and getattr(error, 'config_path', None) is None:
            error.args = (f'{error.args[0]} (set in {file})',)
        raise
    except RUN_ERRORS as error:
        values = shown({name: value for name, value in cfg.items() if name != 'type'})
        text = f'{entry.__name__} cannot be made of {values}{describe_failure(error)}'
        raise ValueError(text) from error


def check_arguments(entry: Callable, arguments: dict, cfg: dict, name: str = '') -> None:
    """Raise TypeError for an argument that a class or function does not take.

    Args:
        entry: The class or function.
        arguments: What it is to be called with.
        cfg: The config node they come from, for the path and file in the message.
        name: What configs call it; its own name by default.
    """
    accepted = accepted_arguments(entry)
    if accepted is None:
        return
    for key in arguments:
        if key not in accepted:
            file = config_file(cfg, key)
            raise TypeError(
                f'{name or entry.__name__} takes no argument {key!r}'
                f'{f" (set in {file})" if file else ""}.'
                f'{did_you_mean(key, accepted) or f" It takes {sorted(accepted)}."}'
            )


def argument_hints(entry: Callable) -> dict[str, Any]:
    """Return the type hints that arguments of a class or function must fit, by their name.

    Of this package's own all are returned, of others' those only that declare ranges.
    """
    hints: dict[str, Any] = {}
    for function in constructors(entry):
        is_own = (getattr(function, '__module__', None) or '').partition('.')[
            0
        ] == __name__.partition('.')[0]
        found = type_hints(function)
        hints = {**{k: h for k, h in found.items() if is_own or has_bounds(h)}, **hints}
    return hints


def add_config_path(error: Exception, where: str) -> None:
    """Lead an exception's message with a config path, once, keeping its class.

    Args:
        error: The exception, changed in place.
        where: The path, such as ``model.decode_head[1]``; nothing is added when it is empty.
    """
    if not where or getattr(error, 'config_path', None) is not None:
        return
    error.config_path = where
    if isinstance(error, OSError) and error.strerror is not None:
        error.strerror = f'{where}: {error.strerror}'
    elif (
        error.args and isinstance(error.args[0], str) and not error.args[0].startswith(f'{where}: ')
    ):
        error.args = (f'{where}: {error.args[0]}', *error.args[1:])


def config_path(cfg: dict) -> str:
    """Return where a config node stands (``model.decode_head[1]``), '' for a plain dict."""
    method = getattr(type(cfg), 'config_path', None)
    return method(cfg) if method else ''


def config_file(cfg: dict, key: str) -> str | None:
    """Return the file that set a node's key, None when it is not known."""
    method = getattr(type(cfg), 'config_file', None)
    return method(cfg, key) if method else None


def describe_unknown(name: str, registry: Registry, set_in: str = '') -> str:
    """Return the message for a ``type`` that a registry does not have.

    Args:
        name: The value of ``type``.
        registry: Where it was looked up.
        set_in: Which file set it, as text to insert.
    """
    here = registry.module_dict
    if upstream := explain_upstream_name(name, registry.name, here):
        return f'{upstream}{set_in}'
    return (
        f'{name} is not in the {registry.name} registry{set_in}.'
        f'{did_you_mean(name, here) or f" It has {sorted(here)}."} '
        'A component of your own must be imported: list its file in custom_imports.'
    )


def _look_up(kind: Any, registry: Registry) -> Callable:
    if isinstance(kind, str):
        entry = registry.get(kind)
        if entry is None:
            raise KeyError(describe_unknown(kind, registry))
        return entry
    if inspect.isclass(kind) or inspect.isfunction(kind):
        registry.check(kind)
        return kind
    raise TypeError(f'type must be a str or valid type, but got {type(kind)}')


def _lead(where: str) -> str:
    return f'{where}: ' if where else ''


def _of(registry: Any) -> str:
    return f'{registry.name}: ' if isinstance(registry, Registry) else ''
