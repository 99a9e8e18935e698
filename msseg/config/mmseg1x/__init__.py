"""Config files of MMSegmentation 1.x, translated into the language of this project."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.data import translate_data
from msseg.config.mmseg1x.names import rename_types
from msseg.config.mmseg1x.section import Report, Section
from msseg.config.mmseg1x.training import translate_training
from msseg.utils.errors import UserKeyError
from msseg.utils.upstream import FOREIGN

_NEAR_MISS = 0.85  # similarity from which a name counts as a misspelling
# Keys that no config of 0.x has, one of which makes a config one of 1.x.
_MARKS = """
    train_dataloader val_dataloader test_dataloader val_evaluator test_evaluator optim_wrapper
    param_scheduler default_scope default_hooks val_cfg"""
_MARKS_INSIDE = {'model': ('data_preprocessor',), 'train_cfg': ('type', 'by_epoch')}
_MEANINGLESS = {
    'default_scope': 'names need no scope',
    'env_cfg': 'processes and backends are chosen by the tools',
    'launcher': 'see --launcher',
    'experiment_name': 'the work dir has a name of its own',
    'tta_model': 'see --aug-test of msseg test',
    'model_wrapper_cfg': 'a PyTorch setting',
    'compile': 'networks are always compiled',
}
# Keys of 0.x, which MMSegmentation 1.x does not read, and which would have an effect here.
_OF_0X = (
    'fp16', 'bf16', 'optimizer_config', 'lr_config', 'runner', 'checkpoint_config', 'evaluation',
    'log_config', 'workflow', 'seed', 'resume_from', 'aug_test',
)  # fmt: skip
# Variables of config files whose values have been translated where they are used.
_VARIABLES = (
    'data_preprocessor', 'train_pipeline', 'val_pipeline', 'test_pipeline', 'optimizer',
    'dataset_train', 'dataset_aug', 'img_ratios', 'vis_backends',
)  # fmt: skip
# The keys that a config there may have at its top, and where their values are here.
_PLACES = {
    'model': 'model',
    'train_dataloader': 'data.train, data.samples_per_gpu and data.workers_per_gpu',
    'val_dataloader': 'data.val',
    'test_dataloader': 'data.test',
    'train_cfg': 'runner and evaluation.interval',
    'val_cfg': 'evaluation',
    'test_cfg': 'evaluation',
    'val_evaluator': 'evaluation.metric',
    'test_evaluator': 'evaluation.metric',
    'optim_wrapper': 'optimizer and optimizer_config',
    'param_scheduler': 'lr_config',
    'default_hooks': 'checkpoint_config, log_config and evaluation.save_best',
    'custom_hooks': 'custom_hooks',
    'visualizer': 'log_config.hooks',
    'log_processor': 'log_config.hooks',
    'tta_pipeline': 'aug_test.pipeline',
    'randomness': 'seed',
    'resume': 'resume_from',
    'data_preprocessor': 'the pipelines of data',
}
_FOREIGN_MODULES = (*FOREIGN, 'mmcls', 'mmpretrain', 'mmdet')


def is_1x(values: Mapping[str, Any]) -> bool:
    """Whether a config is in the language of MMSegmentation 1.x.

    >>> is_1x({'optim_wrapper': {}}), is_1x({'data': {}, 'optimizer': {}})
    (True, False)
    """
    if 'data' in values:
        return False
    inside = (
        isinstance(values.get(key), Mapping) and any(part in values[key] for part in parts)
        for key, parts in _MARKS_INSIDE.items()
    )
    return any(key in values for key in _MARKS.split()) or any(inside)


def translate(values: ConfigDict) -> tuple[ConfigDict, Report]:
    """Translate a config of MMSegmentation 1.x.

    Args:
        values: The whole config, its bases merged in.

    Returns:
        The config in the language of this project, and what became of its keys.

    Raises:
        ValueError: A value that has no counterpart here and would change training or scores.
        TypeError: A value of a wrong type.

    Source: MMSegmentation 1.2.2 and MMEngine 0.10.
    """
    report = Report()
    values = rename_types(values)
    _move_edges(values, report)
    root = Section(values, '', report)
    root.ignore(dict.fromkeys(_OF_0X, 'MMSegmentation 1.x does not read it'))
    out = ConfigDict()
    model = root.take('model')
    if model is not None:
        root.put(out, 'model', model, 'model')
    model = model if isinstance(model, ConfigDict) else None
    if model is not None:
        _fit_windows(model)
        _fit_losses(model)
        _fit_patches(model)
    translate_data(root, model, out)
    translate_training(root, out)
    _translate_run(root, out)
    root.ignore(_MEANINGLESS)
    for key in _VARIABLES:
        root.take(key)
    _check_spelling(root)
    root.give_rest(out)  # what both languages have, and variables of the file
    return out, report


def place_of(key: str) -> str | None:
    """Return where a config here has what a top-level key is there, None for another key.

    >>> place_of('param_scheduler')
    'lr_config'
    """
    return _PLACES.get(key)


def _check_spelling(root: Section) -> None:
    """Raise KeyError for a key that nearly is one that the config lacks; else note it.

    A file of MMSegmentation's own has ``models`` next to the ``model`` that it inherits.
    """
    for key in list(root.rest()):
        near = difflib.get_close_matches(key, _PLACES, n=1, cutoff=_NEAR_MISS)
        if not near:
            continue
        if near[0] not in root:
            raise UserKeyError(
                f'unknown top-level key {key!r}',
                key=key,
                file=root.file(key),
                suggestions=near,
                advice=f'give a variable of your own another name, such as _{key}',
            )
        root.take(key)
        root.report.meaningless[key] = f'nothing reads it; {near[0]} is set'


def _fit_windows(model: ConfigDict) -> None:
    """Write the sizes of windows that are one number as (h, w)."""
    windows = model.get('test_cfg')
    for key in ('crop_size', 'stride'):
        if isinstance(windows, ConfigDict) and isinstance(windows.get(key), int):
            size = windows[key]
            windows.put(key, (size, size), windows._config_files.get(key))


def _fit_losses(model: ConfigDict) -> None:
    """Let a softmax with class weights divide by the sum of the pixels' weights, as it does there.

    0.x divides by the number of pixels. Its ``DiceLoss`` is another one, too.
    """
    for node in _dicts_in(model):
        if node.get('type') == 'DiceLoss':
            node.put('type', 'ImageDiceLoss', node._config_files.get('type'))
        is_weighted = node.get('class_weight') is not None and not node.get('use_sigmoid')
        if node.get('type') == 'CrossEntropyLoss' and is_weighted:
            node.put('avg_by_class_weight', True, node._config_files.get('class_weight'))


def _fit_patches(model: ConfigDict) -> None:
    """Let patches of vision transformers have no bias, which is the default there."""
    for node in _dicts_in(model):
        if node.get('type') == 'VisionTransformer' and 'patch_bias' not in node:
            node.put('patch_bias', False, node._config_files.get('type'))


def _move_edges(values: ConfigDict, report: Report) -> None:
    """Take ``GenerateEdge`` out of the training pipeline: the head here draws the edges."""
    model = values.get('model')
    head = model.get('decode_head') if isinstance(model, ConfigDict) else None
    if not isinstance(head, ConfigDict) or head.get('type') != 'PIDHead':
        return
    for node in _dicts_in(values.get('train_dataloader')):
        steps = node.get('pipeline')
        for step in list(steps) if isinstance(steps, list) else ():
            if isinstance(step, Mapping) and step.get('type') == 'GenerateEdge':
                section = Section(step, 'GenerateEdge', report)
                section.take('type')
                section.expect('ignore_index', 255)
                width = section.take('edge_width', 3)
                section.close()
                head.put('edge_width', width, step._config_files.get('edge_width'))
                report.translated['GenerateEdge'] = 'model.decode_head.edge_width'
                steps.remove(step)


def _dicts_in(node: Any) -> Iterator[ConfigDict]:
    """Yield a config's dicts, the outer ones first."""
    if isinstance(node, ConfigDict):
        yield node
        node = list(node.values())
    for value in node if isinstance(node, (list, tuple)) else ():
        yield from _dicts_in(value)


def _translate_run(root: Section, out: ConfigDict) -> None:
    randomness = root.section('randomness')
    if randomness is not None:
        randomness.give(out, {'seed': 'seed'})
        randomness.ignore(
            {
                'diff_rank_seed': 'random numbers depend on seed, epoch and index alone',
                'deterministic': 'see MindSpore',
            }
        )
        randomness.close()
        root.report.translated['randomness'] = 'seed'
    if root.take('resume'):
        if root.take('load_from'):
            root.give(out, {'load_from': 'resume_from'})
            root.report.translated['resume'] = 'resume_from'
        else:
            root.put(out, 'auto_resume', True, 'resume')
            root.report.translated['resume'] = 'auto_resume'
    imports = root.section('custom_imports')
    if imports is not None:
        _imports(imports, out)


def _imports(imports: Section, out: ConfigDict) -> None:
    names = imports.take('imports', hint=str | Sequence[str] | None) or []
    names = [names] if isinstance(names, str) else list(names)
    own = [name for name in names if str(name).partition('.')[0] not in _FOREIGN_MODULES]
    if len(own) < len(names):
        left = ', '.join(name for name in names if name not in own)
        imports.report.meaningless[imports.path('imports')] = f'{left}: networks are here'
    if own:
        kept = ConfigDict()
        imports.put(kept, 'imports', own, 'imports')
        imports.give_rest(kept)
        imports.put(out, 'custom_imports', kept, 'imports')
