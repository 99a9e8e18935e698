"""Data sets and loaders of MMSegmentation 1.x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msseg.config.config_dict import ConfigDict
from msseg.config.mmseg1x.pipelines import (
    Preprocessor,
    read_preprocessor,
    test_pipeline,
    train_pipeline,
    tta_pipeline,
)
from msseg.config.mmseg1x.section import Section

_SPLITS = ('train', 'val', 'test')
_LOADER = {
    'persistent_workers': 'a PyTorch setting',
    'pin_memory': 'a PyTorch setting',
    'prefetch_factor': 'a PyTorch setting',
    'multiprocessing_context': 'the loader chooses how its processes start',
    'timeout': 'see data.worker_timeout',
    'worker_init_fn': 'random numbers depend on seed, epoch and index alone',
    'drop_last': 'an epoch has whole batches only',
}
_SAMPLER = {'seed': 'see seed', 'round_up': 'an epoch has whole batches only'}
_DATASET = {
    'serialize_data': 'worker processes share the lists',
    'lazy_init': 'a data set is complete when it is made',
    'max_refetch': 'a damaged file is an error',
    'filter_cfg': 'nothing is filtered',
    'test_mode': 'follows from the split',
}
_RENAMED = {'BaseSegDataset': 'CustomDataset'}
_BACKENDS = (None, {'backend': 'local'}, {'backend': 'disk'})

_Pipeline = Callable[[Sequence[Section], Preprocessor], list[ConfigDict]]


def translate_data(root: Section, model: ConfigDict | None, out: ConfigDict) -> None:
    """Translate the loaders, ``tta_pipeline`` and the model's ``data_preprocessor``.

    Args:
        root: The config.
        model: The model's config, which loses its ``data_preprocessor``.
        out: Gets ``data`` and ``aug_test``.
    """
    preprocessor = Preprocessor()
    if model is not None and 'data_preprocessor' in model:
        of_model = Section(model, 'model', root.report)
        preprocessor = read_preprocessor(of_model.section('data_preprocessor'))
        del model['data_preprocessor']
        root.report.translated['model.data_preprocessor'] = 'Normalize and Pad in the pipelines'
    data = ConfigDict()
    for split in _SPLITS:
        loader = root.section(f'{split}_dataloader')
        if loader is not None:
            pipeline = train_pipeline if split == 'train' else test_pipeline
            dataset = loader.section('dataset')
            if dataset is not None:
                translated = _dataset(dataset, split, pipeline, preprocessor)
                loader.put(data, split, translated, 'dataset')
            _loader(loader, split, data)
            root.report.translated[f'{split}_dataloader'] = f'data.{split}'
    if 'val_dataloader' in root and 'val' not in data:
        root.report.translated['val_dataloader=None'] = '--no-validate of msseg train'
    if data:
        out['data'] = data
    steps = root.sections('tta_pipeline')
    if steps:
        views = ConfigDict()
        root.put(views, 'pipeline', tta_pipeline(steps, preprocessor), 'tta_pipeline')
        root.put(out, 'aug_test', views, 'tta_pipeline')
        root.report.translated['tta_pipeline'] = 'aug_test.pipeline'


def _loader(loader: Section, split: str, data: ConfigDict) -> None:
    shuffles = _sampler(loader, split)
    own = ConfigDict()
    if split == 'train':
        loader.give(data, {'batch_size': 'samples_per_gpu', 'num_workers': 'workers_per_gpu'})
        if not shuffles:
            loader.put(own, 'shuffle', False, 'sampler')
    else:
        if loader.take('batch_size', 1) != 1:
            path = loader.path('batch_size')
            loader.report.meaningless[path] = 'images are evaluated one at a time'
        if loader.take('num_workers', 0) != data.get('workers_per_gpu', 0):
            loader.give(own, {'num_workers': 'workers_per_gpu'})
    if own:
        data[f'{split}_dataloader'] = own
    collate = loader.section('collate_fn')
    if collate is not None:
        collate.expect('type', 'pseudo_collate', 'default_collate')
    loader.ignore(_LOADER)
    loader.close()


def _sampler(loader: Section, split: str) -> bool:
    """Return whether the order is shuffled."""
    sampler = loader.section('sampler')
    if sampler is None:
        return bool(loader.take('shuffle', False))
    kinds = ('InfiniteSampler', 'DefaultSampler') if split == 'train' else ('DefaultSampler',)
    sampler.expect('type', *kinds)
    shuffles = sampler.take('shuffle', True)
    sampler.ignore(_SAMPLER)
    sampler.close()
    return shuffles


def _dataset(
    section: Section, split: str, pipeline: _Pipeline, preprocessor: Preprocessor
) -> ConfigDict:
    """Translate a data set, or a wrapper of others, with its pipeline."""
    kind = section.kind()
    out = ConfigDict()
    section.put(out, 'type', _RENAMED.get(kind, kind))
    if kind == 'ConcatDataset':
        parts = section.sections('datasets')
        joined = [_dataset(part, split, pipeline, preprocessor) for part in parts]
        section.put(out, 'datasets', joined, 'datasets')
        if split != 'train':
            section.put(out, 'separate_eval', False)
        section.ignore({**_DATASET, 'ignore_keys': 'the classes are compared'})
        section.close()
        return out
    inner = section.section('dataset') if 'dataset' in section else None
    if inner is not None:
        is_mixed = kind == 'MultiImageMixDataset'
        of_inner = partial(train_pipeline, is_mixed=True) if is_mixed else pipeline
        section.put(out, 'dataset', _dataset(inner, split, of_inner, preprocessor), 'dataset')
    else:
        _folders(section, out)
    if 'pipeline' in section:
        steps = pipeline(section.sections('pipeline'), preprocessor)
        section.put(out, 'pipeline', steps, 'pipeline')
    section.ignore(_DATASET)
    section.give_rest(out)  # arguments of this class
    return out


def _folders(section: Section, out: ConfigDict) -> None:
    section.give(out, {'data_root': 'data_root'})
    prefix = section.section('data_prefix')
    if prefix is not None:
        prefix.give(out, {'img_path': 'img_dir', 'seg_map_path': 'ann_dir'})
        prefix.close('a data set here has images and labels only')
    if section.take('ann_file'):
        section.give(out, {'ann_file': 'split'})
    meta = section.section('metainfo')
    if meta is not None:
        meta.give(out, {'classes': 'classes', 'palette': 'palette'})
        meta.ignore(dict.fromkeys(meta.rest(), 'nothing reads it'))
    indices = section.take('indices')
    if indices is not None:
        if not isinstance(indices, int) or indices < 1:
            raise section.refusal('indices', 'list the images in ann_file')
        section.put(out, 'num_samples', indices, 'indices')
    section.expect('backend_args', *_BACKENDS, advice='files are read from disks')
