"""Strict checking: every key of a config must be accepted by the component that takes its dict.

This module holds the mechanism. Callers pass a `Schema` of which component takes which dict.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from msseg.config.config import Config
from msseg.config.config_dict import split_key
from msseg.config.merge import DELETE_KEY
from msseg.config.writer import find_unwritable
from msseg.registry import Registry, config_file, config_path, unknown_type
from msseg.utils.arguments import accepted_arguments, argument_hints, check_value
from msseg.utils.errors import ArgumentError, UserError, UserKeyError, UserTypeError, unknown_name
from msseg.utils.logging import log_early, warn_once
from msseg.utils.shown import holds_secret

_NEAR_MISS = 0.85  # similarity from which a top-level name counts as a misspelling


@dataclass(frozen=True)
class Accepts:
    """The keys that a component accepts in its dict.

    Attributes:
        who: The component's name.
        keys: The keys, None for any.
        hints: Type hints that their values must fit, by key.
        inside: Rules for the dicts in it, by key, in place of the schema's rules.
    """

    who: str
    keys: frozenset[str] | None
    hints: Mapping[str, Any] = field(default_factory=dict)
    inside: Mapping[str, Rule] = field(default_factory=dict)


Rule = Callable[[Mapping[str, Any]], Accepts | None]
_UNKNOWN = Accepts('', None)


@dataclass(frozen=True)
class Schema:
    """Which component takes which dict of a config.

    Args:
        top_level: The documented top-level keys, and the purpose of each.
        hints: Type hints that values of top-level keys must fit.
        by_path: Rules by dotted path, without list indices (``data.train``).
        by_key: Rules by the last key of any path (``backbone``).
        registries: Registries for a ``type`` that no rule covers.
        meaningless: Dotted keys that are accepted without effect, and why; where there is a rule
            for the path, too, only values that are no dicts.
        plain: Paths with a rule whose value need not be a dict.
        lists: Paths with a rule whose value may be a list of dicts.
    """

    top_level: Mapping[str, str]
    hints: Mapping[str, Any] = field(default_factory=dict)
    by_path: Mapping[str, Rule] = field(default_factory=dict)
    by_key: Mapping[str, Rule] = field(default_factory=dict)
    registries: tuple[Registry, ...] = ()
    meaningless: Mapping[str, str] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    def accepts(self, path: tuple[str, ...], node: Mapping[str, Any]) -> Accepts | None:
        """Return what the component of the dict at a path accepts, None if it is not known."""
        rule = self.by_path.get('.'.join(path)) or self.by_key.get(path[-1] if path else '')
        if rule is not None:
            return rule(node)
        for registry in self.registries:
            if isinstance(node.get('type'), str) and node['type'] in registry:
                return registered(registry)(node)
        return None


def takes(who: str, *entries: Callable | str, without: Iterable[str] = (), **hints: Any) -> Rule:
    """Return the rule of a dict with fixed keys.

    Args:
        who: The component's name.
        entries: Keys, or classes and functions whose arguments are keys.
        without: Arguments of these that do not come from configs.
        **hints: Other keys, with the type hints that their values must fit.
    """
    names = {*hints, *(entry for entry in entries if isinstance(entry, str))}
    for entry in entries:
        if not isinstance(entry, str):
            names |= accepted_arguments(entry)
            hints = {**argument_hints(entry), **hints}
    accepts = Accepts(who, frozenset(names - {*without}), hints)
    return lambda node: accepts


def takes_anything(node: Mapping[str, Any]) -> Accepts:
    """Return the rule of a dict whose keys are free, such as names of parameters."""
    return Accepts('anything', None)


def registered(registry: Registry, without: Iterable[str] = (), **hints: Any) -> Rule:
    """Return the rule of a dict that a registry builds from.

    Args:
        registry: Where ``type`` is looked up.
        without: Arguments that do not come from configs.
        **hints: Further keys, and keys with other values than in a call, with their type hints.
    """

    def rule(node: Mapping[str, Any]) -> Accepts | None:
        kind = node.get('type')
        entry = registry.get(kind) if isinstance(kind, str) else kind
        if entry is None and isinstance(kind, str):
            fields = {'file': config_file(node, 'type'), 'config_path': config_path(node)}
            raise unknown_type(kind, registry, **fields)
        if not callable(entry):
            return None  # the builder reports it
        arguments = accepted_arguments(entry)
        own = {**argument_hints(entry), **hints}
        name = kind if isinstance(kind, str) else entry.__name__
        if arguments is None:
            return Accepts(name, None, own)
        return Accepts(name, frozenset({'type', *hints, *arguments} - {*without}), own)

    return rule


class Problem(NamedTuple):
    """A key that does not fit.

    Attributes:
        kind: ``'key'``: at the top, and nearly a documented one; ``'type'``: not registered;
            ``'argument'``: not accepted; ``'value'``: not a dict; ``'range'``: of a wrong type or
            out of range.
        node: The dict that holds it.
        key: The key.
        error: The exception for it.
    """

    kind: Literal['key', 'type', 'argument', 'value', 'range']
    node: Mapping[str, Any]
    key: str
    error: UserError | KeyError


def check_config(cfg: Config, schema: Schema, parts: Iterable[str] | None = None) -> None:
    """Check the keys and values of a config.

    Args:
        cfg: The config.
        schema: Which component takes which dict.
        parts: Top-level keys to check; all documented ones by default.

    Raises:
        KeyError: A top-level key that is nearly a documented one, or an unknown ``type``.
        TypeError: A key that its component does not accept, or no dict where one belongs.
        ArgumentError: A value of a wrong type or out of range.
    """
    for problem in find_problems(cfg, schema, parts):
        raise problem.error


def find_problems(
    cfg: Config, schema: Schema, parts: Iterable[str] | None = None
) -> Iterator[Problem]:
    """Yield every problem of which `check_config` raises the first."""
    root = cfg._cfg_dict
    for key in root:
        near = difflib.get_close_matches(key, schema.top_level, n=1, cutoff=_NEAR_MISS)
        if near and key not in schema.top_level and not key.startswith('_'):
            error = UserKeyError(
                f'unknown top-level key {key!r}',
                key=key,
                file=config_file(root, key),
                suggestions=near,
                advice=f'give a variable of your own another name, such as _{key}',
            )
            yield Problem('key', root, key, error)
    at_top = Accepts('', None, schema.hints)
    for key in schema.top_level if parts is None else parts:
        if key in cfg:
            yield from _find_misfit(root, key, (key,), schema, at_top)
            yield from _find(root[key], (key,), schema)


def _find(
    value: Any, path: tuple[str, ...], schema: Schema, rule: Rule | None = None
) -> Iterator[Problem]:
    if isinstance(value, (list, tuple)):
        for child in value:
            yield from _find(child, path, schema, rule)
    if not isinstance(value, dict):
        return
    accepts = None
    try:
        accepts = schema.accepts(path, value) if rule is None else rule(value)
    except KeyError as error:
        yield Problem('type', value, 'type' if 'type' in value else 'policy', error)
    accepts = accepts or _UNKNOWN
    for key, child in value.items():
        child_path = (*path, str(key))
        is_meaningless = '.'.join(child_path) in schema.meaningless
        if accepts.keys is not None and key not in accepts.keys and not is_meaningless:
            error = unknown_name(
                f'{accepts.who} takes no {key!r}',
                str(key),
                accepts.keys,
                UserTypeError,
                config_path=config_path(value),
                file=config_file(value, key),
            )
            yield Problem('argument', value, key, error)
        yield from _find_misfit(value, key, child_path, schema, accepts)
        yield from _find(child, child_path, schema, accepts.inside.get(key))


def _find_misfit(
    parent: Mapping[str, Any], key: str, path: tuple[str, ...], schema: Schema, accepts: Accepts
) -> Iterator[Problem]:
    """Yield a value of a wrong type or out of the range that belongs there."""
    name, where, file = '.'.join(path), config_path(parent), config_file(parent, key)
    if name in schema.by_path and name not in schema.plain and name not in schema.meaningless:
        may_be_list = name in schema.lists
        if not _is_dict(parent[key], may_be_list):
            expected = 'a dict, or a list of them' if may_be_list else 'a dict'
            fields = {'key': name, 'got': parent[key], 'expected': expected, 'file': file}
            yield Problem('value', parent, key, UserTypeError(**fields))
            return
    if key in accepts.hints and name not in schema.meaningless:
        is_section = where.endswith(accepts.who)  # whose name is in the key
        full_key = f'{where}.{key}' if is_section and where else key
        try:
            check_value(
                parent[key], accepts.hints[key], full_key, '' if is_section else accepts.who
            )
        except ArgumentError as error:
            error.complete(file=file, config_path='' if is_section else where)
            yield Problem('range', parent, key, error)


def _is_dict(value: Any, may_be_list: bool) -> bool:
    """Whether a value is a dict, None, or where it may be a list, a list of dicts and lists."""
    if may_be_list and isinstance(value, (list, tuple)):
        return all(isinstance(child, (dict, list, tuple)) for child in value)
    return value is None or isinstance(value, dict)


def check_options(before: Config, after: Config, options: Iterable[str], schema: Schema) -> None:
    """Raise KeyError for ``--cfg-options`` that are not in the config and that nothing accepts.

    Args:
        before: The config without the options.
        after: The config with them.
        options: The dotted keys.
        schema: Which component takes which dict.
    """
    for option in options:
        first, *parts = split_key(option)
        if first in schema.top_level:
            _check_option(option, before.get(first), after[first], parts, (first,), schema)
        elif first in before:
            warn_once(
                f'--cfg-options {option}: {first} is a variable of the config file, and nothing '
                'reads it after the file was read; set the key that was made from it instead'
            )
        else:
            problem = f'{first!r} is neither in the config nor a documented key'
            raise _unknown_option(option, problem, first, {*schema.top_level, *before})


def _check_option(
    option: str, before: Any, after: Any, parts: list[str], path: tuple[str, ...], schema: Schema
) -> None:
    """Follow an option's key down; `before` is None where the config had nothing."""
    if not parts or parts[0] == DELETE_KEY:
        return
    first, *rest = parts
    if isinstance(after, (list, tuple)):
        is_list = isinstance(before, (list, tuple))
        for index in range(len(after)) if first == '*' else [int(first)]:
            old = before[index] if is_list else None
            _check_option(option, old, after[index], rest, path, schema)
    elif isinstance(after, dict):
        key = next((k for k in after if str(k) == first), first)
        is_known = isinstance(before, dict) and key in before
        accepts = None if is_known else schema.accepts(path, after)
        is_taken = is_known or '.'.join((*path, first)) in schema.meaningless
        if accepts is None:
            is_taken = is_taken or before is None  # below a new dict anything goes
        else:
            is_taken = is_taken or accepts.keys is None or key in accepts.keys
        if not is_taken:
            names = {*map(str, before or ()), *(accepts.keys if accepts else ())}
            who = f'an argument of {accepts.who}' if accepts else 'known to be read'
            problem = f'{config_path(after)} has no {first!r} in the config, nor is it {who}'
            raise _unknown_option(option, problem, first, names)
        old = before[key] if is_known else None
        _check_option(option, old, after.get(key), rest, (*path, first), schema)


def _unknown_option(option: str, problem: str, name: str, names: Iterable[str]) -> UserError:
    return unknown_name(
        problem, name, names, key=option, who=f'--cfg-options {option}', expected=''
    )


def drop_variables(cfg: Config, schema: Schema) -> None:
    """Remove the variables of a config file that cannot be settings, such as open files.

    A config file is a program with variables that are not settings. Variables with plain values
    stay, except texts of secret environment variables, which must not reach logs and checkpoints.
    A documented key with a value that cannot be written is a TypeError.
    """
    for key in list(cfg):
        is_setting = key in schema.top_level
        error = find_unwritable(cfg[key], key)
        if error is not None and is_setting:
            is_number = isinstance(error.got, int)
            expected = 'a smaller number' if is_number else 'numbers, strings, lists, tuples, dicts'
            file = config_file(cfg._cfg_dict, key)
            with contextlib.suppress(KeyError, ValueError):  # a key that has dots
                file = cfg.explain(error.key)
            fields = {'got': error.got, 'file': file, 'expected': expected}
            raise UserTypeError(key=error.key, **fields) from error
        if error is not None or not is_setting and holds_secret(cfg[key]):
            del cfg[key]


def drop_meaningless(cfg: Config, schema: Schema) -> None:
    """Remove the keys without meaning here, and log them in one line."""
    dropped = []
    for name, reason in schema.meaningless.items():
        *parents, last = name.split('.')
        node: Any = cfg._cfg_dict
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            continue
        if name not in schema.by_path or not isinstance(node[last], dict):
            dropped.append(f'{name}={node.pop(last)!r} ({reason})')
    if dropped:
        log_early(f'ignored, as they mean nothing here: {", ".join(dropped)}')
