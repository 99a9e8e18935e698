"""No ``x += y`` where MindSpore compiles: it works in place there and falsifies gradients."""

import ast
from pathlib import Path

import msseg

ROOT = Path(msseg.__file__).parent


def compiled_functions(tree):
    """Every `construct`, and the functions and methods of the module that it reaches by name."""
    functions = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            functions.setdefault(node.name, []).append(node)
    # What segmentors and heads call on each other from within `construct`.
    entry_points = {'construct', 'losses', 'predict', 'pixel_losses', 'bprop', 'resize'}
    todo = [node for name in entry_points for node in functions.get(name, [])]
    reached = []
    while todo:
        function = todo.pop()
        if function in reached:
            continue
        reached.append(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                name = getattr(node.func, 'attr', getattr(node.func, 'id', None))
                todo.extend(functions.get(name, []))
    return reached


def offences(source):
    tree = ast.parse(source)
    return [
        node.lineno
        for function in compiled_functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.AugAssign)
    ]


def test_the_walk_finds_offences_in_construct_and_in_what_it_calls():
    source = """
def helper(x):
    x += 1
    return x
class A:
    def construct(self, x):
        return self.method(x)
    def method(self, x):
        x *= 2
        return helper(x)
    def __init__(self):
        n = 0
        n += 1
"""
    assert sorted(offences(source)) == [3, 9]


def test_package_has_none():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in ROOT.rglob('*.py')
        if (lines := offences(path.read_text()))
    }
    assert not found
