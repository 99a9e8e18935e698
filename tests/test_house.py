"""The house rules that import-linter does not know: sizes, fragments, forbidden tools."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import msseg

PACKAGE = Path(msseg.__file__).parent
TREES = {
    '.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts): ast.parse(
        path.read_text(encoding='utf-8')
    )
    for path in PACKAGE.rglob('*.py')
}
LINES = {
    name: len((PACKAGE.parent / f'{name.replace(".", "/")}.py').read_text('utf-8').splitlines())
    for name in TREES
}
# Files that configs name, one for each part of a model, the layers of these, and the names that
# other projects have for them: their number follows the model families, and each is bounded by
# itself (400 lines).
FAMILIES = tuple(
    f'msseg.models.{room}.' for room in ('backbones', 'decode_heads', 'necks', 'layers', 'origins')
)
# without the families; raised for the command lines, which were in tools/ before, data sets of
# retinas, mosaics, configs of MMSegmentation 1.x, annotations of eight labelling formats, rules
# that change foreign weights, balanced sampling, intervals of scores, and cards: their settings,
# overflow, the audit of operators, images of bands and GeoTIFF, weights that are fetched, the
# server of msseg serve, experiment trackers, and the self-test of machines
MOST_LINES = 51_000
MOST_FRAGMENTS = 43
FORBIDDEN = {'ctypes', 'unittest'}
# of the standard library, with a leading underscore for other reasons than privacy; and Config's
DOCUMENTED = {'_exit', '_asdict', '_replace', '_fields', '_make', '_cfg_dict', '_filename'}
# (module, private member of another package): why there is no public way
PRIVATE = {('msseg.utils.target', '_c_expression'): "the chip's name, as mindspore.amp asks for it"}


def imported(tree):
    """Yield the dotted names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def test_the_package_stays_small_and_no_room_is_half_of_it():
    rooms = Counter()
    for name, lines in LINES.items():
        if not name.startswith(FAMILIES):
            rooms[name.split('.')[1]] += lines
    total = sum(rooms.values())
    assert total <= MOST_LINES
    assert {room: lines for room, lines in rooms.items() if lines > total / 5} == {}


def test_few_modules_serve_one_other_and_are_short():
    users = defaultdict(set)
    for name, tree in TREES.items():
        for target in imported(tree):
            target = target if target in TREES else f'{target}.__init__'
            if target != name:
                users[target].add(name)
    fragments = [
        name
        for name, lines in LINES.items()
        if len(users[name]) == 1 and lines < 80 and not name.endswith('__init__')
    ]
    assert len(fragments) <= MOST_FRAGMENTS, fragments


def test_no_module_is_too_long():
    assert {name: lines for name, lines in LINES.items() if lines > 400} == {}


def test_no_framework_is_patched_and_no_c_library_is_called():
    found = {
        (name, target.split('.')[0])
        for name, tree in TREES.items()
        for target in imported(tree)
        if target.split('.')[0] in FORBIDDEN
    }
    assert found == set()


def own_private_names():
    """Return every private name that the package itself defines or assigns."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return names


def test_no_private_member_of_another_package():
    own, found = own_private_names(), defaultdict(set)
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
                found[name].add(node.attr)
            elif isinstance(node, ast.ImportFrom) and not (node.module or '').startswith('msseg'):
                parts = [*(node.module or '').split('.'), *(alias.name for alias in node.names)]
                found[name].update(filter(is_private, parts))
    found = {(name, attribute) for name, names in found.items() for attribute in names}
    assert found - set(PRIVATE) == set()
    assert set(PRIVATE) <= found, 'an exception that is not needed any more'


def is_private(name):
    return re.match('_[a-z]', name) and name not in DOCUMENTED
