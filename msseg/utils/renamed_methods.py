"""Methods that MMSegmentation's classes override and nothing here would call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_DOCS = 'see docs/porting.md'
_FOREIGN = ('torch', 'mmcv', 'mmengine', 'mmseg')
_NO_LOSSES = 'construct gives logits, and losses(logits, labels) is called on them'
_SCORES = 'scores come from the confusion matrix that msseg computes; leave it out'

# Old method (or attribute): the method in its place, if any, and what to do.
_Renamed = Mapping[str, tuple[str, str]]
OF_CELLS: _Renamed = {
    'forward': ('construct', 'MindSpore calls construct: rename it'),
    'forward_train': ('', _NO_LOSSES),
    'forward_test': ('', _NO_LOSSES),
    'loss_by_feat': ('', _NO_LOSSES),
    'predict_by_feat': ('', 'construct gives logits; test_cfg says how they become labels'),
    'encode_decode': ('', 'predict(img) gives the logits of an image'),
    'simple_test': ('', 'predict(img) gives the logits of an image'),
}
OF_SAMPLERS: _Renamed = {
    'sample': ('construct', 'write construct(self, logits, labels, losses), which returns weights')
}
OF_DATASETS: _Renamed = {
    'METAINFO': ('CLASSES', 'name the classes in CLASSES and their colours in PALETTE'),
    'load_data_list': ('load_annotations', 'write load_annotations, which returns img_infos'),
    'evaluate': ('', _SCORES),
    'pre_eval': ('', _SCORES),
    'get_classes_and_palette': ('', 'give classes and palette as arguments'),
}
OF_TRANSFORMS: _Renamed = {
    'transform': ('__call__', 'write __call__(self, results), which returns results')
}
OF_HOOKS: _Renamed = {
    **{
        name: ('', 'nothing calls it; after_evaluation(runner) follows each evaluation')
        for when in ('before', 'after')
        for name in (f'{when}_val_epoch', f'{when}_val_iter', f'{when}_test_epoch',
                     f'{when}_test_iter', f'{when}_val', f'{when}_test')
    },
    'before_train': ('before_run', 'write before_run(self, runner)'),
    'after_train': ('after_run', 'write after_run(self, runner)'),
    'before_save_checkpoint': ('before_save', 'write before_save(self, runner)'),
    'after_load_checkpoint': ('before_run', 'write before_run(self, runner)'),
}  # fmt: skip


def check_methods(renamed: _Renamed) -> Callable[[Any], None]:
    """Return a check for a registry: whether a class is written for another framework.

    It raises TypeError for a class that derives from one of another framework's, or defines a
    method under an old name without the new one.
    """

    def check(entry: Any) -> None:
        if not inspect.isclass(entry):
            return
        for base in entry.__mro__:
            root = base.__module__.partition('.')[0]
            if root in _FOREIGN:
                raise TypeError(
                    f'{entry.__name__} derives from {base.__module__}.{base.__name__}, expected a '
                    f'class of mindspore or msseg; {_DOCS}'
                )
        for old, (new, advice) in renamed.items():
            owner = _owner(entry, old)
            if owner is not None and not (new and issubclass(_owner(entry, new) or object, owner)):
                raise TypeError(
                    f'{entry.__name__} defines {old}{_place(vars(owner)[old])}: {advice} ({_DOCS})'
                )

    return check


check_cell = check_methods(OF_CELLS)
check_sampler = check_methods(OF_SAMPLERS)


def check_hook(entry: Any) -> None:
    """Be the check of the hooks' registry: old names, and points that take more than the runner."""
    check_methods(OF_HOOKS)(entry)
    if not inspect.isclass(entry):
        return
    for name, method in inspect.getmembers(entry, inspect.isfunction):
        owners = [base for base in entry.__mro__ if name in vars(base)]
        if not name.startswith(('before_', 'after_')) or len(owners) < 2:
            continue  # no point of the base class
        parameters = list(inspect.signature(method).parameters.values())[2:]
        more = [each.name for each in parameters if _is_needed(each)]
        if more:
            raise TypeError(
                f'{entry.__name__} defines {name}{_place(method)}: it takes the runner alone, and '
                f'not {", ".join(more)} ({_DOCS})'
            )


def _is_needed(parameter: inspect.Parameter) -> bool:
    is_variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not is_variable


def _owner(entry: type, name: str) -> type | None:
    """Return the class that defines a name for `entry`."""
    return next((base for base in entry.__mro__ if name in vars(base)), None)


def _place(method: Any) -> str:
    code = getattr(method, '__code__', None)
    return f' ({code.co_filename}, line {code.co_firstlineno})' if code else ''
