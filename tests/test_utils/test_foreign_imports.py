"""What is said of imports of PyTorch, MMCV and MMSegmentation."""

import importlib
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from msseg.config import import_modules_from_strings
from msseg.utils import foreign_imports
from msseg.utils.foreign_imports import find_foreign_imports

PAGE = Path(__file__).parents[2] / 'docs' / 'porting.md'
HEAD = """import os.path as osp

import mmcv
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule as Block, build_norm_layer
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads import SetCriterionHead
from torch import nn


@HEADS.register_module()
class MyHead(BaseDecodeHead):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = nn.Sequential(nn.ModuleList([Block()]), nn.Unheard())
        self.mean = mmcv.imread('a.png').mean() + mmcv.Config.fromfile('b.py').c

    def forward(self, x):
        return F.interpolate(torch.cat([x, x]), 2)
"""


def test_each_name_has_its_line_and_counterpart(tmp_path):
    file = tmp_path / 'my_head.py'
    file.write_text(HEAD)
    found = {each.name: (each.line, each.advice) for each in find_foreign_imports(file)}
    assert {name: line for name, (line, _) in found.items()} == {
        'torch.nn.functional': 5,
        'mmcv.cnn.ConvModule': 6,
        'mmcv.cnn.build_norm_layer': 6,
        'mmseg.models.builder.HEADS': 7,
        'mmseg.models.decode_heads.decode_head.BaseDecodeHead': 8,
        'mmseg.models.decode_heads.SetCriterionHead': 9,
        'torch.nn': 10,
        'torch.nn.Sequential': 17,
        'torch.nn.ModuleList': 17,
        'mmcv.imread': 18,
        'mmcv.Config': 18,
        'torch.cat': 21,
        'torch.nn.functional.interpolate': 21,
    }
    advice = {name: text for name, (_, text) in found.items()}
    assert advice['mmcv.cnn.ConvModule'] == 'msseg.models.layers.ConvModule'
    assert advice['torch.nn.Sequential'] == 'mindspore.nn.SequentialCell'
    assert advice['mmseg.models.decode_heads.SetCriterionHead'] == 'nothing in msseg'
    assert advice['mmcv.imread'] == 'cv2.imread'


def test_all_that_the_porting_page_replaces_has_a_counterpart(tmp_path):
    blocks = re.findall(r'```diff\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        lines = [line[1:] for line in block.splitlines() if not line.startswith('+')]
        (tmp_path / 'old.py').write_text('\n'.join(lines))
        found = find_foreign_imports(tmp_path / 'old.py')
        assert found and not [each for each in found if each.advice == 'nothing in msseg']


def test_names_are_explained_where_mindspore_is_missing(tmp_path):
    file = tmp_path / 'a.py'
    file.write_text('from mmcv import Config\nfrom mmseg.models import HRNet')
    code = (
        "import sys; sys.modules['mindspore'] = None\n"
        'from msseg.utils.foreign_imports import find_foreign_imports\n'
        'print([each.advice for each in find_foreign_imports(sys.argv[1])])'
    )
    done = subprocess.run([sys.executable, '-c', code, str(file)], capture_output=True, text=True)
    assert done.stdout == "['msseg.config.Config', 'nothing in msseg']\n", done.stderr


def test_what_cannot_be_read_has_none(tmp_path):
    (tmp_path / 'a.py').write_text('import (')
    assert find_foreign_imports(tmp_path / 'a.py') == []
    assert find_foreign_imports(tmp_path / 'absent.py') == []


@pytest.mark.parametrize(
    'old, new',
    [
        ('mmseg.apis.init_segmentor', 'msseg.apis.init_segmentor'),
        ('mmcv.Config', 'msseg.config.Config'),
        ('mmcv.utils.Registry', 'msseg.registry.Registry'),
        ('mmseg.datasets.builder.PIPELINES', 'msseg.datasets.PIPELINES'),
        ('mmseg.datasets.custom.CustomDataset', 'msseg.datasets.CustomDataset'),
        ('mmseg.datasets.pipelines.compose.Compose', 'msseg.datasets.Compose'),
        ('mmseg.models.losses.utils.weight_reduce_loss', 'msseg.models.losses.reduce_loss'),
        ('mmseg.ops.resize', 'msseg.models.layers.resize'),
        ('mmcv.runner.HOOKS', 'msseg.runner.HOOKS'),
        ('mmcv.runner.Hook', 'msseg.runner.Hook'),
        ('mmcv.parallel.Path', 'nothing in msseg'),
    ],
)
def test_names_are_found_where_msseg_exports_them(tmp_path, old, new):
    module, _, name = old.rpartition('.')
    (tmp_path / 'a.py').write_text(f'from {module} import {name}')
    assert [each.advice for each in find_foreign_imports(tmp_path / 'a.py')] == [new]


@pytest.mark.parametrize('name', sorted(foreign_imports._TORCH))
def test_advice_on_pytorch_names_what_is_there(name):
    path = foreign_imports._TORCH[name].partition(',')[0].partition(' ')[0]
    module, _, attribute = path.rpartition('.')
    if path.startswith(('mindspore', 'msseg')) and module:
        try:
            importlib.import_module(path)
        except ImportError:
            assert hasattr(importlib.import_module(module), attribute)


def test_a_module_of_ones_own_is_told_all_at_once(tmp_path, monkeypatch):
    for name in ('mmcv', 'torch'):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / 'old_head_1.py').write_text(HEAD)
    (tmp_path / 'old_head_2.py').write_text('import old_head_1')
    for name in ('old_head_1', 'old_head_2'):
        with pytest.raises(ImportError) as raised:
            import_modules_from_strings(name, folders=[str(tmp_path)])
        message = str(raised.value)
        lead = f"custom_imports: '{name}' failed to import: {tmp_path}/old_head_1.py imports"
        assert message.startswith(lead)
        assert 'line 6: mmcv.cnn.ConvModule -> msseg.models.layers.ConvModule; ' in message
        assert message.endswith('; and 5 more. docs/porting.md ports such files')
        assert 'PYTHONPATH' not in message and '\n' not in message


def test_of_an_installed_package_that_fails_itself_the_users_file_is_explained(
    tmp_path, monkeypatch
):
    (tmp_path / 'mmengine').mkdir()
    (tmp_path / 'mmengine' / '__init__.py').write_text('import mmcv.not_there_x')
    (tmp_path / 'old_hook.py').write_text('\nfrom mmengine.hooks import Hook')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as raised:
        import_modules_from_strings('old_hook', folders=[str(tmp_path)])
    assert f'{tmp_path}/old_hook.py imports what is not here: line 2: mmengine' in str(raised.value)
    assert '__init__' not in str(raised.value)


def test_another_missing_package_is_named_and_no_folder(tmp_path):
    (tmp_path / 'needs_more.py').write_text('import os\nimport no_such_package_x')
    with pytest.raises(ImportError, match=r'more.py, line 2.*no_such_package_x.*; install no_s'):
        import_modules_from_strings('needs_more', folders=[str(tmp_path)])


def test_a_name_that_is_in_another_module_of_msseg_is_told(tmp_path):
    (tmp_path / 'renamed_head.py').write_text(
        'import msseg\n'
        'from msseg.models import HEADS\n'
        'from msseg.models.decode_heads.decode_head import BaseDecodeHead\n'
    )
    with pytest.raises(ImportError) as raised:
        import_modules_from_strings('renamed_head', folders=[str(tmp_path)])
    assert str(raised.value).endswith(
        'imports what is not here: line 3: msseg.models.decode_heads.decode_head.BaseDecodeHead -> '
        'msseg.models.decode_heads.BaseDecodeHead. docs/porting.md ports such files'
    )
    (tmp_path / 'wrong_name.py').write_text('from msseg.models import Nothing')
    with pytest.raises(ImportError, match='wrong_name.py, line 1: .*Nothing') as raised:
        import_modules_from_strings('wrong_name', folders=[str(tmp_path)])
    assert 'install' not in str(raised.value)


def test_an_error_of_msseg_names_the_users_line_that_led_to_it(tmp_path):
    (tmp_path / 'forward_head.py').write_text(
        'from msseg.models.builder import HEADS\n'
        'class Mine:\n'
        '    def forward(self): ...\n'
        'HEADS.register_module(module=Mine)\n'
    )
    message = r"'forward_head': \S*forward_head.py, line 4: Mine defines forward"
    with pytest.raises(ImportError, match=message):
        import_modules_from_strings('forward_head', folders=[str(tmp_path)])


def test_a_folder_that_a_file_hides_is_told(tmp_path):
    (tmp_path / 'hidden_parts').mkdir()
    (tmp_path / 'hidden_parts' / 'head.py').write_text('')
    (tmp_path / 'hidden_parts.py').write_text('')
    with pytest.raises(
        ImportError, match=r"takes 'hidden_parts' to be the file .*parts.py; rename"
    ):
        import_modules_from_strings('hidden_parts.head', folders=[str(tmp_path)])
    (tmp_path / 'hidden_parts' / '__init__.py').write_text('')
    import_modules_from_strings('hidden_parts.head', folders=[str(tmp_path)])


def test_registries_of_an_installed_mmsegmentation_are_warned_of(tmp_path, monkeypatch, caplog):
    for name, values in (('mmseg', {}), ('mmseg.models', {'HEADS': {}})):
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / 'other_registry.py').write_text('from mmseg.models import HEADS')
    import_modules_from_strings('other_registry', folders=[str(tmp_path)])
    assert 'line 1: mmseg.models.HEADS -> msseg.models.builder.HEADS' in caplog.text
