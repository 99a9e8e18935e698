"""deploy/convert_to_lite.py, with a stand-in for MindSpore Lite: its wheel is for Python 3.7."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'deploy' / 'convert_to_lite.py'


class Converter:
    """Writes what it was asked for; refuses a file that says so."""

    optimize, input_shape, config = 'general', None, None

    def set_config_info(self, section, options):
        self.config = [section, options]

    def convert(self, framework, source, target):
        content = Path(source).read_text()
        if 'refuse me' in content:
            raise RuntimeError('Convert model failed')
        suffix = {'M': '.mindir', 'L': '.ms'}[self.save_type]
        path = Path(target + suffix)
        path.write_text(f'{framework} {self.input_format} {content}')
        if self.optimize != 'general':
            path.write_text(json.dumps([self.optimize, self.config, self.input_shape]))
        path.chmod(0o400)


@pytest.fixture
def convert(monkeypatch, capfd):
    lite = SimpleNamespace(
        Converter=Converter,
        ModelType=SimpleNamespace(MINDIR='M', MINDIR_LITE='L'),
        Format=SimpleNamespace(NCHW='NCHW'),
        FmkType=SimpleNamespace(ONNX='ONNX'),
    )
    monkeypatch.setitem(sys.modules, 'mindspore_lite', lite)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(SCRIPT), *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPT), run_name='__main__')
        except SystemExit as end:
            return end.code

    return run


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'net.onnx'
    path.write_text('a network')
    Path(f'{path}.json').write_text(json.dumps({'classes': ['a'], 'file_bytes': 9}))
    return path


@pytest.mark.parametrize('suffix', ['.mindir', '.ms'])
def test_the_file_and_its_metadata_are_converted(convert, source, tmp_path, suffix):
    target = tmp_path / f'out{suffix}'
    assert convert(source, target) is None
    assert target.read_text() == 'ONNX NCHW a network'
    beside = json.loads(Path(f'{target}.json').read_text())
    assert beside == {'classes': ['a'], 'file_bytes': target.stat().st_size}
    assert target.stat().st_mode & 0o777 == 0o644


def described(source, shape):
    port = {'name': 'image', 'layout': 'NCHW', 'shape': shape}
    Path(f'{source}.json').write_text(json.dumps({'input': port}))


def test_one_size_is_compiled_for_ascend(convert, source, tmp_path):
    described(source, [1, 3, 64, 96])
    assert convert(source, tmp_path / 'a.mindir', '--ascend', '--precision', 'enforce_fp16') is None
    options = {'input_format': 'NCHW', 'precision_mode': 'enforce_fp16'}
    assert json.loads((tmp_path / 'a.mindir').read_text()) == [
        'ascend_oriented', ['ascend_context', options], {'image': [1, 3, 64, 96]},
    ]  # fmt: skip
    assert 'of one size already' in convert(
        source, tmp_path / 'b.mindir', '--ascend', '--sizes', 64, 96
    )


def test_any_size_is_compiled_for_a_list_of_sizes(convert, source, tmp_path):
    described(source, [None, 3, None, None])
    target = tmp_path / 'a.mindir'
    assert 'name the sizes to compile for with --sizes' in convert(source, target, '--ascend')
    assert 'expected H W for each' in convert(source, target, '--ascend', '--sizes', 64)
    assert convert(source, target, '--ascend', '--sizes', 64, 96, 128, 128) is None
    _, (section, options), shape = json.loads(target.read_text())
    assert (section, shape) == ('ascend_context', None)
    assert options == {
        'input_format': 'NCHW',
        'precision_mode': 'enforce_fp32',
        'input_shape': 'image:[1,3,-1,-1]',
        'dynamic_dims': '[64,96],[128,128]',
    }


def test_options_of_ascend_that_do_not_fit(convert, source, tmp_path):
    described(source, [1, 3, 64, 96])
    assert '--ascend compiles a .mindir' in convert(source, tmp_path / 'a.ms', '--ascend')
    assert '--sizes is for --ascend' in convert(source, tmp_path / 'a.ms', '--sizes', 64, 96)


def test_mistakes_are_one_line_and_leave_nothing(convert, source, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    assert convert(tmp_path / 'none.onnx', tmp_path / 'a.ms').startswith('error: ')
    assert 'expected IN.onnx and OUT.mindir or OUT.ms' in convert(source, tmp_path / 'a.air')
    source.write_text('refuse me')
    assert 'MindSpore Lite cannot convert it (Convert model failed)' in convert(
        source, tmp_path / 'a.ms'
    )
    monkeypatch.setitem(sys.modules, 'mindspore_lite', None)
    assert 'mindspore_lite' in convert(source, tmp_path / 'a.ms')
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize('link', ['out.ms', 'out.ms.json'])
@pytest.mark.parametrize('read', ['net.onnx', 'net.onnx.json'])
def test_what_is_read_is_not_replaced(convert, source, tmp_path, link, read):
    (tmp_path / link).symlink_to(tmp_path / read)
    before = (tmp_path / read).read_text()
    assert 'which is read: give another name' in convert(source, tmp_path / 'out.ms')
    assert (tmp_path / read).read_text() == before
