"""Strict checking: every key of a config must be taken by what consumes its dict.

The mechanism only. What consumes what is a `Schema`, handed in by callers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from msseg.config.config import Config
from msseg.config.merge import DELETE_KEY
from msseg.config.provenance import split_key
from msseg.config.writer import find_unwritable
from msseg.registry import Registry, argument_hints, config_file, config_path, describe_unknown
from msseg.utils.arguments import ArgumentError, check_value
from msseg.utils.logging import get_logger, warn_once
from msseg.utils.shown import holds_secret, shown
from msseg.utils.signature import accepted_arguments
from msseg.utils.suggest import did_you_mean

_NEAR_MISS = 0.85  # similarity from which a top-level name counts as a misspelling


@dataclass(frozen=True)
class Accepts:
    """What takes the keys of a dict.

    Attributes:
        who: Its name.
        keys: The keys, None for any.
        hints: Type hints that their values must fit, by key.
        inside: What takes the keys of dicts in it, by key, in place of the schema's rules.
    """

    who: str
    keys: frozenset[str] | None
    hints: Mapping[str, Any] = field(default_factory=dict)
    inside: Mapping[str, Rule] = field(default_factory=dict)


Rule = Callable[[Mapping[str, Any]], Accepts | None]


@dataclass(frozen=True)
class Schema:
    """What consumes which dict of a config.

    Args:
        top_level: The documented top-level keys, and what each is for.
        hints: Type hints that values of top-level keys must fit.
        by_path: Rules by dotted path, list indices left out (``data.train``).
        by_key: Rules by the last key of the path, wherever it stands (``backbone``).
        registries: Where a ``type`` is looked up that no rule covers.
        meaningless: Dotted keys that are accepted without effect, and why.
        plain: Paths with a rule whose value may be something else than a dict.
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
        """Return what consumes the dict at a path, None when that is not known."""
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
        who: What takes them, for messages.
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
    """Be the rule of a dict whose keys are free, such as names of parameters."""
    return Accepts('anything', None)


def registered(registry: Registry, without: Iterable[str] = (), **hints: Any) -> Rule:
    """Return the rule of a dict that a registry builds from.

    Args:
        registry: Where ``type`` is looked up.
        without: Arguments that do not come from configs.
        **hints: Keys taken besides ``type`` and the entry's arguments, and those whose values
            may be others in a config, with the type hints that these must fit.
    """

    def rule(node: Mapping[str, Any]) -> Accepts | None:
        kind = node.get('type')
        entry = registry.get(kind) if isinstance(kind, str) else kind
        if entry is None and isinstance(kind, str):
            text = describe_unknown(kind, registry, _set_in(node, 'type'))
            raise KeyError(f'{config_path(node)}: {text}')
        if not callable(entry):
            return None  # what builds it says what is wrong
        arguments = accepted_arguments(entry)
        own = {**argument_hints(entry), **hints}
        name = kind if isinstance(kind, str) else entry.__name__
        if arguments is None:
            return Accepts(name, None, own)
        return Accepts(name, frozenset({'type', *hints, *arguments} - {*without}), own)

    return rule


class Problem(NamedTuple):
    """A key that is not as what consumes it wants it.

    Attributes:
        kind: ``'key'``: at the top, and nearly a documented one; ``'type'``: names nothing;
            ``'argument'``: not taken; ``'value'``: no dict where one belongs; ``'range'``: of a
            wrong kind or out of range.
        node: The dict that holds it.
        key: The key.
        error: What to raise of it.
    """

    kind: Literal['key', 'type', 'argument', 'value', 'range']
    node: Mapping[str, Any]
    key: str
    error: KeyError | TypeError


def check_config(cfg: Config, schema: Schema, parts: Iterable[str] | None = None) -> None:
    """Check the keys of a config against what consumes them.

    Args:
        cfg: The config.
        schema: What consumes which dict.
        parts: Top-level keys to check; all documented ones by default.

    Raises:
        KeyError: A top-level key that is nearly a documented one, or an unknown ``type``.
        TypeError: A key that what consumes its dict does not take, or no dict where one belongs.
        ArgumentError: A value of a wrong kind or out of range.
    """
    for problem in find_problems(cfg, schema, parts):
        raise problem.error


def find_problems(
    cfg: Config, schema: Schema, parts: Iterable[str] | None = None
) -> Iterator[Problem]:
    """Yield all that `check_config` raises the first of."""
    for key in cfg:
        near = difflib.get_close_matches(key, schema.top_level, n=1, cutoff=_NEAR_MISS)
        if near and key not in schema.top_level and not key.startswith('_'):
            error = KeyError(
                f'unknown top-level key {key!r}{_set_in(cfg._cfg_dict, key)}. Did you mean '
                f'{near[0]!r}? A variable of your own so named needs another name, such as _{key}.'
            )
            yield Problem('key', cfg._cfg_dict, key, error)
    for key in schema.top_level if parts is None else parts:
        if key in cfg:
            yield from _find_misfit(cfg._cfg_dict, key, (key,), schema, schema.hints, '')
            yield from _find(cfg[key], (key,), schema)


def _find_no_dict(
    parent: Mapping[str, Any], key: str, path: tuple[str, ...], schema: Schema
) -> Iterator[Problem]:
    """Yield a value that is no dict, list of dicts or None but has a rule of one."""
    name, value = '.'.join(path), parent[key]
    has_rule = name in schema.by_path and name not in schema.plain
    may_be_list = name in schema.lists
    fits = value is None or isinstance(value, dict)
    if may_be_list and isinstance(value, (list, tuple)):
        fits = all(isinstance(child, (dict, list, tuple)) for child in value)
    if has_rule and not fits:
        expected = 'a dict, or a list of them' if may_be_list else 'a dict'
        error = TypeError(f'{name} is {shown(value)}{_set_in(parent, key)}, expected {expected}')
        yield Problem('value', parent, key, error)


def _find_misfit(
    parent: Mapping[str, Any],
    key: str,
    path: tuple[str, ...],
    schema: Schema,
    hints: Mapping[str, Any],
    who: str,
) -> Iterator[Problem]:
    """Yield a value that is not of the kind or in the range that belongs there."""
    is_dict = True
    for problem in _find_no_dict(parent, key, path, schema):
        is_dict = False
        yield problem
    if is_dict and key in hints and '.'.join(path) not in schema.meaningless:
        where = config_path(parent)
        lead, name, who = f'{where}: ', key, who.removeprefix(f'{where} with ')
        if where.endswith(who):  # a section, which the key says already
            lead, name, who = '', f'{where}.{key}' if where else key, ''
        try:
            check_value(parent[key], hints[key], name, who)
        except ArgumentError as error:
            error.args = (f'{lead}{error}{_set_in(parent, key)}',)
            yield Problem('range', parent, key, error)


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
    for key, child in value.items():
        child_path = (*path, str(key))
        is_taken = accepts is None or accepts.keys is None or key in accepts.keys
        if not is_taken and '.'.join(child_path) not in schema.meaningless:
            error = TypeError(
                f'{config_path(value)}: {accepts.who} takes no {key!r}{_set_in(value, key)}.'
                f'{did_you_mean(str(key), accepts.keys) or f" It takes {sorted(accepts.keys)}."}'
            )
            yield Problem('argument', value, key, error)
        hints, who = (accepts.hints, accepts.who) if accepts else ({}, '')
        yield from _find_misfit(value, key, child_path, schema, hints, who)
        inside = accepts.inside.get(key) if accepts else None
        yield from _find(child, child_path, schema, inside)


def check_options(before: Config, after: Config, options: Iterable[str], schema: Schema) -> None:
    """Check that the keys of ``--cfg-options`` exist or are taken by something.

    Args:
        before: The config without the options.
        after: The config with them.
        options: The dotted keys.
        schema: What consumes which dict.

    Raises:
        KeyError: A key that is neither in the config, nor documented, nor taken.
    """
    for option in options:
        first, *parts = split_key(option)
        if first not in schema.top_level:
            if first not in before:
                choices = {*schema.top_level, *before}
                raise KeyError(
                    f'--cfg-options {option}: {first!r} is neither in the config nor a documented '
                    f'key.{did_you_mean(first, choices)}'
                )
            warn_once(
                f'--cfg-options {option}: {first} is a variable of the config file, and nothing '
                'reads it after the file was read; set the key that was made from it instead'
            )
        elif parts:
            _check_option(option, before.get(first), after[first], parts, (first,), schema)


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
        known = isinstance(before, dict) and key in before
        accepts = None if known else schema.accepts(path, after)
        is_taken = known or '.'.join((*path, first)) in schema.meaningless
        if accepts is None:
            is_taken = is_taken or before is None  # below a new dict anything goes
        else:
            is_taken = is_taken or accepts.keys is None or key in accepts.keys
        if not is_taken:
            names = {*map(str, before or ()), *(accepts.keys if accepts else ())}
            who = f'an argument of {accepts.who}' if accepts else 'known to be read'
            raise KeyError(
                f'--cfg-options {option}: {config_path(after)} has no {first!r} in the config, '
                f'nor is it {who}.{did_you_mean(first, names)}'
            )
        old = before[key] if known else None
        _check_option(option, old, after.get(key), rest, (*path, first), schema)


def drop_variables(cfg: Config, schema: Schema) -> None:
    """Remove the variables of a config file that no setting can be, such as open files.

    A config file is a program, with variables that are no settings: what nothing reads does no
    harm. Those that are plain values stay, but for texts of secret environment variables, which
    must not get into logs and checkpoints.

    Raises:
        TypeError: What cannot be written stands under a documented key.
    """
    for key in list(cfg):
        found = find_unwritable(cfg[key], key, config_file(cfg._cfg_dict, key))
        if found is not None and key in schema.top_level:
            by = f' (set in {found.file})' if found.file else ''
            expected = 'a setting is made of numbers, strings, lists, tuples and dicts'
            if isinstance(found.value, int):
                expected = 'that is too large for a setting'
            raise TypeError(f'{found.where} is {shown(found.value)}{by}; {expected}')
        if found is not None or key not in schema.top_level and holds_secret(cfg[key]):
            del cfg[key]


def drop_meaningless(cfg: Config, schema: Schema) -> None:
    """Remove the keys without meaning here, and say so in one line of the log."""
    dropped = []
    for name, reason in schema.meaningless.items():
        *parents, last = name.split('.')
        node: Any = cfg._cfg_dict
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict) and last in node:
            dropped.append(f'{name}={node.pop(last)!r} ({reason})')
    if dropped:
        get_logger().info('ignored, as they mean nothing here: %s', ', '.join(dropped))


def _set_in(node: Mapping[str, Any], key: str) -> str:
    file = config_file(node, key)
    return f' (set in {file})' if file else ''
