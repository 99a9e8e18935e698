"""Every model of MMSegmentation 0.30's config files that has all its parts here is built."""

import re
from collections import Counter

from msseg.config import Config
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
