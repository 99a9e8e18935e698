"""Files of the right names are found under the catalogue's names and fill the models."""

import functools
import gzip
import json
import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.models import build_segmentor
from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.load_weights import load_weights
from msseg.weights import find_file, list_entries
from tests.test_convert.torch_files import save_torch
from tests.test_models.reference_fill import fill
from tests.tiny_families import FAMILIES

DATA = Path(__file__).parents[1] / 'data'
IN_TORCH = {'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean',
            'moving_variance': 'running_var', 'w': 'weight'}  # fmt: skip
# families of MMSegmentation whose row in FAMILIES has another name
ROWS = {'twins': 'twins_pcpvt'}
MODELS = {}
for _entry in list_entries('mmseg://*'):
    if _entry.kind == 'model':
        MODELS.setdefault(_entry.fits.partition('/')[0], _entry)


# parts that the recorded models of MMSegmentation lack
LACKING = ('decode_head.fusion.', 'auxiliary_head.norm.', 'auxiliary_head.up_convs.')


@functools.cache
def upstream_patterns():
    """The names in MMSegmentation's models, as recorded there, without their numbers."""
    with gzip.open(DATA / 'parity' / 'parameter-names.json.gz') as file:
        models = [json.load(file)['mmseg ocrnet_hr18 cityscapes']]
    for path in (DATA / 'mmseg030').glob('*.jsonl.gz'):
        rows = map(json.loads, gzip.decompress(path.read_bytes()).splitlines())
        models += [row['names'] for row in rows]
    return {without_numbers(name) for names in models for name in names}


def without_numbers(name):
    return re.sub(r'\d+', 'N', name)


def in_torch(names):
    """The names of parameters in PyTorch, by those here."""
    norms = {name.rpartition('.')[0] for name in names if name.endswith('.beta')}
    renamed = {}
    for name in names:
        layer, _, leaf = name.rpartition('.')
        leaf = IN_TORCH.get(leaf, leaf) if layer in norms or leaf == 'w' else leaf
        joint = '_' if layer.endswith('.in_proj') else '.'
        renamed[name] = f'{layer}{joint}{leaf}'
    return renamed


def test_the_catalogue_has_the_families_of_the_metafiles():
    assert len(MODELS) == 45


@pytest.mark.parametrize('family', MODELS)
def test_a_checkpoint_of_each_family_fills_its_model(tmp_path, monkeypatch, family):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    entry = MODELS[family]
    with no_init_parameters():
        model = build_segmentor(dict(FAMILIES[ROWS.get(family, family)].model))
    floats = {p.name: p for p in model.get_parameters() if p.dtype == ms.float32}
    names = in_torch(floats)
    new = {without_numbers(name) for name in names.values()} - upstream_patterns()
    assert all(name.startswith(LACKING) for name in new)
    same = ('key_project', 'query_project') if family == 'ann' else ('', '')  # a shared layer
    arrays = {
        names[name]: fill(names[name].replace(*same), tuple(p.shape)) for name, p in floats.items()
    }
    save_torch(tmp_path / entry.file, arrays, lambda state: {'meta': {}, 'state_dict': state})
    checkpoint = load_checkpoint(find_file(entry.name, 'checkpoint'))
    conversion = load_weights(model, checkpoint)
    assert conversion.style == entry.style
    assert not conversion.of_kind('missing', 'unexpected', 'shape mismatch')
    for name, parameter in floats.items():
        np.testing.assert_array_equal(parameter.asnumpy(), arrays[names[name]])
