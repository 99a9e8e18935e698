"""What to import in place of PyTorch, MMCV, MMEngine and MMSegmentation."""

from __future__ import annotations

import ast
import functools
import importlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msseg.utils.upstream import FOREIGN

_MAX_LISTED = 8
_PORTING = 'docs/porting.md'
# Modules that have the counterparts of names from any module of OpenMMLab's packages.
_COUNTERPARTS = """
    apis config registry datasets datasets.builder datasets.file_client datasets.pipelines
    models.backbones models.builder models.decode_heads models.layers models.losses
    models.segmentors runner runner.builder runner.hooks utils.logging
    utils.dist"""
_OTHER = {
    'MODELS': 'the registry of the kind in msseg.models.builder, such as HEADS',
    'TRANSFORMS': 'msseg.datasets.builder.PIPELINES',
    'BaseSegDataset': 'msseg.datasets.CustomDataset',
    'BaseTransform': 'no base class: a transform has __call__(self, results)',
    'BaseModule': 'mindspore.nn.Cell',
    'ModuleList': 'mindspore.nn.CellList',
    'Sequential': 'mindspore.nn.SequentialCell',
    'DROPOUT_LAYERS': 'msseg.models.layers.DROP_LAYERS',
    'get_root_logger': 'msseg.utils.logging.get_logger',
    'print_log': 'msseg.utils.logging.get_logger',
    'get_dist_info': 'msseg.utils.dist.get_rank and get_world_size',
    'weight_reduce_loss': 'msseg.models.losses.reduce_loss',
    'auto_fp16': 'nothing: precision is set by fp16 or bf16 in the config',
    'force_fp32': 'nothing: losses are computed in float32',
    'constant_init': 'init_cfg, or mindspore.common.initializer',
    'kaiming_init': 'init_cfg, or mindspore.common.initializer',
    'normal_init': 'init_cfg, or mindspore.common.initializer',
    'xavier_init': 'init_cfg, or mindspore.common.initializer',
    'imread': 'cv2.imread',
    'imfrombytes': 'cv2.imdecode',
    'imwrite': 'cv2.imwrite',
    'imresize': 'cv2.resize, whose size is (w, h) as well',
    'imrescale': 'cv2.resize',
    'imflip': 'cv2.flip',
    'imnormalize': 'numpy: (img - mean) / std',
    'bgr2rgb': 'cv2.cvtColor',
    'bgr2gray': 'cv2.cvtColor',
    'scandir': 'pathlib.Path.rglob',
    'list_from_file': 'pathlib.Path.read_text().splitlines()',
    'mkdir_or_exist': 'os.makedirs(…, exist_ok=True)',
    'is_list_of': 'isinstance',
    'is_str': 'isinstance',
    'load': 'json.load or yaml.safe_load',
    'dump': 'json.dump',
}
_TORCH = {
    'torch': 'mindspore and mindspore.ops',
    'torch.Tensor': 'mindspore.Tensor',
    'torch.autograd': 'mindspore.grad',
    'torch.cat': 'mindspore.ops.concat',
    'torch.distributed': 'msseg.utils.dist',
    'torch.nn': 'mindspore.nn, whose modules are cells with construct in place of forward',
    'torch.nn.BatchNorm2d': 'msseg.models.layers.build_norm_layer',
    'torch.nn.Conv2d': 'msseg.models.layers.Conv2d, with the arguments of PyTorch',
    'torch.nn.Dropout2d': 'msseg.models.layers.Dropout2d',
    'torch.nn.Linear': 'mindspore.nn.Dense',
    'torch.nn.Module': 'mindspore.nn.Cell',
    'torch.nn.ModuleList': 'mindspore.nn.CellList',
    'torch.nn.Parameter': 'mindspore.Parameter',
    'torch.nn.Sequential': 'mindspore.nn.SequentialCell',
    'torch.nn.functional': 'mindspore.ops',
    'torch.nn.functional.interpolate': 'msseg.models.layers.resize',
    'torch.no_grad': 'mindspore.ops.stop_gradient',
    'torch.optim': 'mindspore.nn',
    'torch.utils.checkpoint': 'with_cp=True of the backbone',
    'torchvision.transforms': 'msseg.datasets.pipelines, or numpy and cv2',
}


class ForeignImport(NamedTuple):
    """A name of another framework in a Python file.

    Attributes:
        line: Where it is imported or used.
        name: Its dotted name.
        advice: What to use in its place.
    """

    line: int
    name: str
    advice: str

    def __str__(self) -> str:
        return f'line {self.line}: {self.name} -> {self.advice}'


def explain_foreign_import(error: BaseException) -> str:
    """Return what to import instead when an import of a framework failed, else ``''``.

    Args:
        error: What importing or running the file raised.
    """
    name = getattr(error, 'name', None) if isinstance(error, ImportError) else None
    if name is None or _root(name) not in (*FOREIGN, 'msseg'):
        return ''
    frames = reversed(traceback.extract_tb(error.__traceback__))
    files = [frame.filename for frame in frames if Path(frame.filename).suffix == '.py']
    # an installed framework may fail itself, and the user's file, which imports it, says more
    for file in sorted(files, key=_is_of_framework):
        found = find_foreign_imports(file)
        if found:
            return f'{file} imports what is not here: {_join(found)}'
    return ''


def _is_of_framework(file: str) -> bool:
    """Return whether a file is part of an installed package of PyTorch's or OpenMMLab's."""
    folders = [each for each in Path(file).parents if each.name in FOREIGN]
    return any((each / '__init__.py').is_file() for each in folders)


def find_foreign_imports(
    file: str | Path, roots: tuple[str, ...] = (*FOREIGN, 'msseg')
) -> list[ForeignImport]:
    """Return the names of other frameworks that a Python file imports or uses.

    Among them are those that the file looks for in the wrong module of msseg.

    Args:
        file: The file; one that cannot be read or parsed has none.
        roots: The packages to look for.
    """
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    imports = [each for node in ast.walk(tree) for each in _imports_of(node)]
    bound = {local: name for _, _, local, name in imports if _root(name) in roots}
    uses = [each for node in ast.walk(tree) for each in _uses_of(node, bound)]
    used = {_root(name) for _, name in uses}
    lines: dict[str, int] = {}
    for line, name, _, prefix in imports:
        # of `import mmcv` its uses say more
        if _root(name) in roots and not (prefix in FOREIGN and name == prefix and name in used):
            lines.setdefault(name, line)
    for line, name in uses:
        lines.setdefault(name, line)
    found = sorted((line, name) for name, line in lines.items() if not _is_here(name))
    return [ForeignImport(line, name, _find(name) or _no_counterpart(name)) for line, name in found]


def _imports_of(node: ast.AST) -> Iterator[tuple[int, str, str, str]]:
    """Yield the line, the name, and the local name with what it stands for, of each import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            stands_for = alias.name if alias.asname else _root(alias.name)
            yield node.lineno, alias.name, alias.asname or stands_for, stands_for
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        for alias in node.names:
            name = node.module if alias.name == '*' else f'{node.module}.{alias.name}'
            yield node.lineno, name, alias.asname or alias.name, name


def _uses_of(node: ast.AST, bound: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of ``a.b.c`` that has a counterpart here."""
    parts = []
    value = node
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    if parts and isinstance(value, ast.Name) and value.id in bound:
        name = '.'.join([bound[value.id], *reversed(parts)])
        if _find(name):
            yield node.lineno, name


def _is_here(name: str) -> bool:
    """Whether a name of msseg is right, or not known to be somewhere else in it."""
    if _root(name) != 'msseg':
        return False
    module, _, attribute = name.rpartition('.')
    try:
        return hasattr(importlib.import_module(module or name), attribute) or _find(name) is None
    except ImportError:
        return _find(name) is None


def _root(name: str) -> str:
    return name.partition('.')[0]


def _find(name: str) -> str | None:
    """Return what to use here in place of a name, None if there is nothing."""
    last = name.rpartition('.')[2]
    if name in _TORCH or _root(name) in ('torch', 'torchvision') or name in FOREIGN:
        return _TORCH.get(name)
    return _OTHER.get(last) or _find_here(last)


@functools.cache
def _find_here(name: str) -> str | None:
    for each in _COUNTERPARTS.split():
        try:
            module = importlib.import_module(f'msseg.{each}')
        except ImportError:  # without MindSpore, configs can be read all the same
            continue
        found = getattr(module, name, None)
        if getattr(found, '__module__', '').startswith('msseg.'):
            return f'{module.__name__}.{name}'
    return None


def _no_counterpart(name: str) -> str:
    if _root(name) == 'torch':
        return 'see mindspore.ops and mindspore.nn for one of this name'
    return 'nothing in msseg'


def _join(found: list[ForeignImport]) -> str:
    more = len(found) - _MAX_LISTED
    lines = '; '.join(map(str, found[:_MAX_LISTED]))
    return f'{lines}{f"; and {more} more" if more > 0 else ""}. {_PORTING} ports such files'
