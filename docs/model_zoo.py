"""Write docs/model_zoo.md: MMSegmentation's published scores, and what is counted here.

What concerns the repository's own configs goes to configs/model_zoo.json, too, which comes with the
installed package.

The metafiles inside the package mmsegmentation 0.30 name config files, data sets and scores; what
was counted with msseg stands in docs/model_zoo.json, a line a config file.

    python docs/model_zoo.py                     # write the page
    python docs/model_zoo.py --count 'cgnet/*'   # first count networks that are not in the file yet
    python docs/model_zoo.py --export 'cgnet/*'  # first measure the ONNX file of the first of them
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.metadata
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from msseg.utils.cli import CommandParser, run_main

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / 'model_zoo.md'
COUNTS = DOCS / 'model_zoo.json'
OWN_FIGURES = DOCS.parent / 'configs' / 'model_zoo.json'  # what `msseg models` shows
CONFIGS = DOCS.parent / 'configs'
TRAINING_ONLY = ('pretrained', 'auxiliary_head', 'train_cfg', 'init_cfg', 'sampler')
# config, data, mIoU in percent: measured with this code, see docs/results.md
MEASURED = (
    ('demo/ocrnet_nuclei', 'nuclei, 500 iterations', 85.89),
    ('ocrnet/ocrnet_small_128x128_1500_camvid-240x180', 'CamVid at 240x180', 36.7),
    ('ocrnet/ocrnet_hr18s_128x128_600_camvid-240x180', 'CamVid at 240x180', 35.0),
    ('ocrnet/ocrnet_small_128x256_400_synthetic-cityscapes', 'drawn streets', 64.3),
)
HEADER = """\
# Model zoo

The scores below were **published by MMSegmentation, not measured here**. The config files of the
families for which something is counted run here unmodified; the scores are those that the
metafiles of MMSegmentation state for them. What was trained with this code stands in
[the last table](#measured-here) and in [Results](results.md).

- **config**: a file of MMSegmentation 0.30; with a link if this repository has a config of that
  name and those settings.
- **mIoU**: in percent, of one scale, and of several scales with flips. For images of the retina it
  is the Dice of the vessels.
- **parameters**: millions of trainable values, without the heads that only train. **GMACs**: 10⁹
  multiplications with addition, of convolutions and matrix products, for one image of the crop's
  size. Both are counted by this code, as `tools/get_flops.py` does.
- **ONNX**: megabytes of the exported file, measured for one config of a family. Others have about
  4 bytes a parameter.
- A dash: not published, or not counted: the network does not build here, or nobody has compiled
  it for this page.

`python docs/model_zoo.py` writes this page. With `--count` and names of config files, such as
`'cgnet/*'`, it counts networks first; with `--export` it exports them and measures the files.
"""


@dataclass(frozen=True)
class Published:
    """A model that a metafile describes.

    Attributes:
        config: The config file, from its family's folder on, without the suffix.
        dataset: The data set's name.
        size: The crop's (h, w).
        score: The metric of one scale in percent, with its name if it is not mIoU.
        multi_scale: The same of several scales with flips.
    """

    config: str
    dataset: str
    size: tuple[int, int]
    score: str
    multi_scale: str

    @property
    def family(self) -> str:
        """The folder's name."""
        return self.config.partition('/')[0]


@dataclass(frozen=True)
class Count:
    """What was counted for a config; None where nothing was."""

    parameters: int
    macs: int | None = None
    onnx_bytes: int | None = None


def upstream_configs() -> Path:
    """Return the folder of MMSegmentation's config files."""
    distribution = importlib.metadata.distribution('mmsegmentation')
    return Path(distribution.locate_file('mmseg/.mim/configs'))


def read_published() -> list[Published]:
    """Return all models of the metafiles that have a score, by family."""
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    models: list[Published] = []
    for file in sorted(upstream_configs().glob('*/*.yml')):
        content = yaml.load(file.read_text(encoding='utf-8'), loader)
        entries = content['Models'] if isinstance(content, dict) else content
        models += [_published(entry) for entry in entries if entry.get('Results')]
    return models


def _published(entry: dict[str, Any]) -> Published:
    result = entry['Results'][0]
    metrics = result['Metrics']
    size = tuple(map(int, re.findall(r'\d+', str(entry['Metadata']['crop size']))))
    return Published(
        entry['Config'].removeprefix('configs/').removesuffix('.py'),
        result['Dataset'],
        size if len(size) == 2 else size * 2,
        f'{metrics["mIoU"]:.2f}' if 'mIoU' in metrics else f'{metrics["Dice"]:.2f} (Dice)',
        f'{metrics["mIoU(ms+flip)"]:.2f}' if 'mIoU(ms+flip)' in metrics else '-',
    )


def read_counts() -> dict[str, Count]:
    """Return what has been counted, by config."""
    return {
        config: Count(**values)
        for config, values in json.loads(COUNTS.read_text(encoding='utf-8')).items()
    }


def write_counts(counts: dict[str, Count]) -> None:
    """Write the file, a line a config."""
    lines = [
        f'{json.dumps(config)}: '
        + json.dumps({key: value for key, value in asdict(count).items() if value is not None})
        for config, count in sorted(counts.items())
    ]
    COUNTS.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')


def page(models: Sequence[Published], counts: dict[str, Count]) -> str:
    """Return the page."""
    families = sorted({model.family for model in models})
    parts = [HEADER]
    for family in families:
        rows = [_row(model, counts.get(model.config)) for model in models if model.family == family]
        title = '| config | data set | crop | mIoU | ms + flip | parameters | GMACs | ONNX |'
        parts.append('\n'.join([f'## {family}\n', title, '| --- ' * 8 + '|', *rows]) + '\n')
    rows = [
        f'| [{config.partition("/")[2]}](../configs/{config}.py) | {data} | {score:.1f} |'
        for config, data, score in MEASURED
    ]
    title = '| config | data | mIoU |'
    intro = 'From random weights, on a CPU; commands and versions are in [Results](results.md).\n'
    parts.append('\n'.join(['## Measured here\n', intro, title, '| --- ' * 3 + '|', *rows]) + '\n')
    return '\n'.join(parts)


def own_figures(
    models: Sequence[Published], counts: dict[str, Count], known: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the figures of the own configs by name, those that run here measured.

    Args:
        models: What is published.
        counts: What is counted.
        known: Figures of before, for the parameters of networks that are in neither.
    """
    from msseg.config.own_configs import own_names

    published = {model.config: model for model in models}
    measured = {config: (data, score) for config, data, score in MEASURED}
    figures: dict[str, dict[str, Any]] = {}
    for name, path in own_names().items():
        config = path.removesuffix('.py')
        parameters = known.get(name, {}).get('parameters')
        parameters = counts[config].parameters if config in counts else parameters
        figures[name] = {} if parameters is None else {'parameters': parameters}
        model = published.get(config)
        if config in measured:
            data, score = measured[config]
            figures[name] |= {'mIoU': score, 'data': data, 'source': 'measured with msseg'}
        elif model is not None and not model.score.endswith(')'):
            score = float(model.score)
            source = 'published by MMSegmentation'
            figures[name] |= {'mIoU': score, 'data': model.dataset, 'source': source}
    return figures


def read_own_figures() -> dict[str, dict[str, Any]]:
    """Return what configs/model_zoo.json has."""
    return json.loads(OWN_FIGURES.read_text(encoding='utf-8')) if OWN_FIGURES.exists() else {}


def write_own_figures(figures: dict[str, dict[str, Any]]) -> None:
    """Write configs/model_zoo.json, a line a config."""
    lines = [f'{json.dumps(name)}: {json.dumps(values)}' for name, values in figures.items()]
    OWN_FIGURES.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')


def count_own(figures: dict[str, dict[str, Any]]) -> None:
    """Count the parameters of the own configs that have none in `figures`, a second each."""
    from msseg.config import Config

    for name, values in figures.items():
        if 'parameters' not in values:
            model = Config.fromfile(name).model.to_dict()
            count = count_parameters(_without(model, TRAINING_ONLY))
            figures[name] = {'parameters': count, **values}
            print(f'{name}: {count}', flush=True)


def _row(model: Published, count: Count | None) -> str:
    name = model.config.partition('/')[2]
    if (CONFIGS / f'{model.config}.py').exists():
        name = f'[{name}](../configs/{model.config}.py)'
    parameters = macs = size = '-'
    if count:
        parameters = f'{count.parameters / 1e6:.2f}'
        macs = '-' if count.macs is None else f'{count.macs / 1e9:.1f}'
        size = '-' if count.onnx_bytes is None else f'{count.onnx_bytes / 1e6:.1f}'
    crop = f'{model.size[0]}x{model.size[1]}'
    cells = [name, model.dataset, crop, model.score, model.multi_scale, parameters, macs, size]
    return f'| {" | ".join(cells)} |'


# ------------------------------------------------------------------ counting


def predicting_model(config: str) -> dict[str, Any]:
    """Return the settings of a config's network without those that matter in training only."""
    from msseg.config import Config

    cfg = Config.fromfile(upstream_configs() / f'{config}.py')
    return _without(cfg.model.to_dict(), TRAINING_ONLY)


def _without(node: Any, keys: Sequence[str]) -> Any:
    if isinstance(node, dict):
        return {key: _without(value, keys) for key, value in node.items() if key not in keys}
    if isinstance(node, (list, tuple)):
        return type(node)(_without(value, keys) for value in node)
    return node


def count_parameters(settings: dict[str, Any]) -> int:
    """Return the number of trainable values of a network."""
    from mindspore.nn.utils import no_init_parameters

    from msseg.models import build_segmentor

    with no_init_parameters():
        return sum(value.size for value in build_segmentor(settings).trainable_params())


def count_macs(settings: dict[str, Any], size: tuple[int, int]) -> int:
    """Return the multiplications with addition of a network for one image of a size (h, w)."""
    from msseg.models import build_segmentor
    from msseg.models.analysis.complexity import count_complexity

    return sum(part.macs for part in count_complexity(build_segmentor(settings), size))


def measure_onnx(settings: dict[str, Any], size: tuple[int, int]) -> int:
    """Return the bytes of the ONNX file of a network for one image of a size (h, w)."""
    from msseg.deploy.metadata import Metadata, Preprocessing
    from msseg.export.options import ExportOptions
    from msseg.export.writers import WRITERS
    from msseg.models import build_segmentor
    from msseg.version import __version__

    model = build_segmentor(settings).set_train(False)
    spec, options = model.output_spec, ExportOptions('onnx', size)
    metadata = Metadata(
        options.input_port(model.in_channels),
        options.output_port(spec.out_channels),
        Preprocessing(False, True, (0.0,) * model.in_channels, (1.0,) * model.in_channels),
        tuple(f'class {i}' for i in range(spec.out_channels)),
        ((0, 0, 0),) * spec.out_channels,
        spec.align_corners,
        spec.threshold,
        __version__,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'model.onnx'
        WRITERS['onnx'](model, metadata, path)
        return path.stat().st_size


def add_counts(models: Sequence[Published], patterns: Sequence[str], with_macs: bool) -> None:
    """Count the networks of matching configs that are not in the file, and write it each time.

    Configs whose networks and sizes are the same are counted once.
    """
    same = _by_network(models)
    for model in chosen(models, patterns):
        counts = read_counts()
        count = counts.get(model.config)
        if count and (count.macs or not with_macs):
            continue
        try:
            settings = predicting_model(model.config)
            count = Count(count_parameters(settings))
            if with_macs:
                count = replace(count, macs=count_macs(settings, model.size))
        except (
            ImportError,
            KeyError,
            ValueError,
        ) as error:  # a part that is not here, a small size
            print(f'{model.config}: {error}')
            continue
        print(f'{model.config}: {count}', flush=True)
        for config in same[_network(settings, model.size)]:
            old = counts.get(config)
            counts[config] = replace(count, onnx_bytes=old.onnx_bytes if old else None)
        write_counts(counts)


def _by_network(models: Sequence[Published]) -> dict[str, list[str]]:
    """Return the configs of each network with a size."""
    same: dict[str, list[str]] = {}
    for model in models:
        try:
            key = _network(predicting_model(model.config), model.size)
        except (ImportError, ValueError):  # custom_imports of a package that is not here
            continue
        same.setdefault(key, []).append(model.config)
    return same


def _network(settings: dict[str, Any], size: tuple[int, int]) -> str:
    shape = _without(settings, ('loss_decode', 'dropout_ratio', 'test_cfg'))
    return json.dumps([shape, size], sort_keys=True)


def add_exports(models: Sequence[Published], patterns: Sequence[str]) -> None:
    """Measure the exported file of the matching configs that have been counted."""
    for model in chosen(models, patterns):
        counts = read_counts()
        if model.config not in counts or counts[model.config].onnx_bytes:
            continue
        size = measure_onnx(predicting_model(model.config), model.size)
        print(f'{model.config}: {size} bytes', flush=True)
        counts[model.config] = replace(counts[model.config], onnx_bytes=size)
        write_counts(counts)


def chosen(models: Sequence[Published], patterns: Sequence[str]) -> list[Published]:
    """Return the models whose config matches one of the patterns, such as ``cgnet/*``."""
    return [
        model
        for model in models
        if any(fnmatch.fnmatch(model.config, pattern) for pattern in patterns)
    ]


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Write docs/model_zoo.md.')
    many = dict(nargs='+', default=[], metavar='NAME')
    parser.add_argument(
        '--parameters', help='count the parameters of these first, a second each', **many
    )
    parser.add_argument(
        '--count', help='compile these first, and count multiplications, too', **many
    )
    parser.add_argument(
        '--export', help='export these to ONNX first, and note the size of the files', **many
    )
    parser.add_argument(
        '--own', action='store_true', help='count the parameters of own configs that have none'
    )
    return parser.parse_args()


def main() -> None:
    """Count what is asked for, and write the page."""
    args = parse_args()
    models = read_published()
    if args.parameters or args.count or args.export or args.own:
        from msseg.utils.device import setup_device

        setup_device('CPU')
        add_counts(models, args.parameters, with_macs=False)
        add_counts(models, args.count, with_macs=True)
        add_exports(models, args.export)
    PAGE.write_text(page(models, read_counts()), encoding='utf-8')
    figures = own_figures(models, read_counts(), read_own_figures())
    if args.own:
        count_own(figures)
    write_own_figures(figures)


if __name__ == '__main__':
    run_main(main)
