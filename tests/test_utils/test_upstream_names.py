"""What is said of MMSegmentation's names and configs."""

import re
import types

import pytest

from msseg.registry import Registry, build_from_cfg
from msseg.utils import upstream


@pytest.mark.parametrize(
    ('registry', 'name', 'message'),
    [
        (
            'BACKBONES',
            'VPD',
            "VPD is MMSegmentation's and is not in msseg yet; here are: .*CGNet",
        ),
        (
            'HEADS',
            'mmseg.SANHead',
            "mmseg.SANHead is MMSegmentation's and is not in msseg yet; here are: "
            'ANNHead, .* more .see docs/from_mmseg',
        ),
        ('HEADS', 'mmseg.OCRHead', "msseg has no scopes: write 'OCRHead'"),
        ('BACKBONES', 'PSPHead', 'its kind is head, expected backbone'),
        ('OPTIMIZER_CONSTRUCTORS', 'LayerDecayOptimizerConstructor', 'is not in msseg yet'),
        ('NECKS', 'MLANeck', "MLANeck is MMSegmentation's and is not in msseg yet; here are: "),
        (
            'HOOKS',
            'MMSegWandbHook',
            "MMSegWandbHook is MMSegmentation's and is not in msseg yet; here are: "
            'MlflowLoggerHook, .*TextLoggerHook, WandbLoggerHook$',
        ),
        ('PIPELINES', 'PackSegInputs', 'here are: AdjustGamma, .* more .see docs/from_mmseg'),
        ('DATASETS', 'COCODataset', '^msseg import-labels coco makes .* no COCODataset$'),
        ('DATASETS', 'LabelMe', '^msseg import-labels labelme makes label files'),
        ('HEADS', 'OCRHed', "OCRHed is not in the head registry. Did you mean 'OCRHead'"),
    ],
)
def test_names_of_mmsegmentation_are_told_from_misspelt_ones(registry, name, message, monkeypatch):
    table = getattr(builders(), registry)
    monkeypatch.delitem(table.module_dict, name, raising=False)
    with pytest.raises(KeyError) as raised:
        build_from_cfg({'type': name}, table)
    assert re.search(message, raised.value.args[0])
    assert ('custom_imports' in raised.value.args[0]) == (name == 'OCRHed')


def test_no_name_stands_for_two_kinds_and_each_kind_is_a_registry():
    names = [name for text in upstream._NAMES.values() for name in text.split()]
    assert len(names) == len(set(names))
    registries = {each.name for each in vars(builders()).values() if isinstance(each, Registry)}
    assert set(upstream._NAMES) <= registries


def builders():
    """Return all registries, filled."""
    from msseg.apis.config_schema import get_schema
    from msseg.datasets import builder as datasets
    from msseg.models import builder as models
    from msseg.runner import builder as runner

    get_schema()
    return types.SimpleNamespace(**{**vars(datasets), **vars(runner), **vars(models)})
