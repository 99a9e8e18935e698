"""Every model of MMSegmentation 0.30's config files that has all its parts here is built.

So is every one of 1.2.2's; names and shapes of its weights are those of PyTorch's model.
"""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import mindspore as ms
from mindspore.nn.utils import no_init_parameters

from msseg.config import Config
from msseg.models import build_segmentor
from tests.test_configs.digest import digest
from tests.test_configs.shapes import built_shapes
from tests.test_configs.test_all_upstream_configs import FILES, load


def test_all_models_build():
    built, refused = Counter(), {}
    models = {}
    for file in FILES:
        cfg, missing = load(file)
        if not missing:
            # models that differ in the number of classes alone count as one
            text = Config(dict(model=cfg.model.to_dict())).pretty_text
            models.setdefault(re.sub(r'num_classes=\d+', '', text), []).append((file, cfg))
    for files in models.values():
        file, cfg = files[0]
        try:
            assert built_shapes(cfg)
            built[file.parent.name] += len(files)
        except (KeyError, TypeError, ValueError) as error:
            refused[file.name] = str(error)
    print(f'{sum(built.values())} of {len(FILES)} build, {len(models)} models: {dict(built)}')
    assert refused == {}


OF_122 = [
    json.loads(line)
    for line in gzip.decompress(
        (Path(__file__).parents[1] / 'tests/data/mmseg122_models.jsonl.gz').read_bytes()
    ).splitlines()
]
# Why a model of 1.2.2 cannot be built here.
LACKING = {
    'mask2former': 'Mask2FormerHead',
    'maskformer': 'MaskFormerHead',
    'san': 'MultimodalEncoderDecoder',
    'vpd': 'DepthEstimator',
}


def test_names_and_shapes_are_those_of_mmsegmentation_122():
    same, wrong = Counter(), {}
    for row in OF_122:
        folder, name = row['files'][0].split('/')
        text = f"default_scope = 'mmseg'\nmodel = {row['model']!r}\n"
        cfg = Config.fromstring(text, '.py')
        try:
            with no_init_parameters():
                model = build_segmentor(cfg.model)
        except (KeyError, TypeError, ValueError) as error:
            if LACKING.get(folder, 'nothing') not in str(error):
                wrong[name] = str(error)
            continue
        # integers are the counters of random numbers
        shapes = {p.name: p.shape for p in model.get_parameters() if p.dtype == ms.float32}
        if digest(shapes) != row['digest']:
            wrong[name] = 'other names or shapes'
        same[folder] += len(row['files'])
    print(f'{sum(same.values())} of {sum(len(row["files"]) for row in OF_122)} files: {dict(same)}')
    assert wrong == {}
    assert same.keys() & LACKING.keys() == set()
