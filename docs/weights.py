"""Write msseg/weights/catalogue.json: the weights that configs name, and MMSegmentation's.

The metafiles inside the package mmsegmentation 0.30 name its checkpoints with their figures; all
others stand in docs/weights.yaml. Sizes that no publisher states are counted: four bytes a number
of the network that a file is for.

    python docs/weights.py            # write the catalogue; keep the sizes that it has counted
    python docs/weights.py --count    # count missing sizes first, a second a network

Remove the catalogue first to read and to count everything again.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import yaml

from msseg.utils.cli import CommandParser, run_main

DOCS = Path(__file__).resolve().parent
SOURCE = DOCS / 'weights.yaml'
CATALOGUE = DOCS.parent / 'msseg' / 'weights' / 'catalogue.json'
FOLDER = 'https://download.openmmlab.com/mmsegmentation/v0.5/'
_COLUMNS = ['name', 'path', 'fits', 'data', 'figure', 'multi_scale', 'megabytes', 'statistics']
_SIZE_COLUMNS = ('fits', 'megabytes', 'is_counted')
_NOT_FOR_COMMERCE = 'Apache-2.0, starts from NVIDIA weights that are not for commerce'


def upstream_configs() -> Path:
    """Return the folder of MMSegmentation's config files."""
    distribution = importlib.metadata.distribution('mmsegmentation')
    return Path(distribution.locate_file('mmseg/.mim/configs'))


def read_metafiles() -> list[dict[str, Any]]:
    """Return the models of all metafiles."""
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    models: list[dict[str, Any]] = []
    for file in sorted(upstream_configs().glob('*/*.yml')):
        content = yaml.load(file.read_text(encoding='utf-8'), loader)
        models += content['Models'] if isinstance(content, dict) else content
    return models


def checkpoint_sections(statistics: dict[str, list], known: dict[str, str]) -> list[dict[str, Any]]:
    """Return the sections of MMSegmentation's checkpoints, one for each metric and licence.

    Args:
        statistics: Those that have a name; statistics that are not among them are added.
        known: The names of the statistics of checkpoints, whose configs are not read again.
    """
    sections: dict[tuple[str, str], dict[str, Any]] = {}
    for model in read_metafiles():
        result = model['Results'][0]
        metrics = result['Metrics']
        metric = 'mIoU' if 'mIoU' in metrics else 'Dice'
        config = model['Config'].removeprefix('configs/').removesuffix('.py')
        licence = _NOT_FOR_COMMERCE if config.startswith('segformer/') else 'Apache-2.0'
        section = sections.setdefault((metric, licence), _section(metric, licence))
        name, path = model['Name'], model['Weights'].removeprefix(FOLDER)
        section['rows'].append([
            name, path.replace(name, '{}'), config, result['Dataset'], metrics[metric],
            metrics.get('mIoU(ms+flip)'), None,
            known.get(f'mmseg://{name}') or statistics_of(config, statistics),
        ])  # fmt: skip
    return list(sections.values())


def _section(metric: str, licence: str) -> dict[str, Any]:
    return {
        'scheme': 'mmseg://',
        'folder': FOLDER,
        'kind': 'model',
        'style': 'mmseg',
        'metric': metric,
        'licence': licence,
        'has_digits': True,
        'columns': _COLUMNS,
        'rows': [],
    }


def statistics_of(config: str, known: dict[str, list]) -> str:
    """Return the name of the statistics that a config normalises images with."""
    from msseg.config import Config

    cfg = Config.fromfile(upstream_configs() / f'{config}.py')
    norm = cfg.img_norm_cfg
    values = [[float(v) for v in norm.mean], [float(v) for v in norm.std], bool(norm.to_rgb)]
    for name, other in known.items():
        if other == values:
            return name
    known[f'of {config}'] = values
    return f'of {config}'


def read_present() -> tuple[dict[str, float], dict[str, str], dict[str, list]]:
    """Return what the present catalogue has: counted sizes, names of statistics, statistics."""
    sizes: dict[str, float] = {}
    names: dict[str, str] = {}
    if not CATALOGUE.exists():
        return sizes, names, {}
    content = json.loads(CATALOGUE.read_text(encoding='utf-8'))
    for section in content['sections']:
        for row in section['rows']:
            own = dict(zip(section['columns'], row, strict=True))
            name = section['scheme'] + own['name']
            if own.get('is_counted'):
                sizes[name] = own['megabytes']
            if section['kind'] == 'model' and own.get('statistics'):
                names[name] = own['statistics']
    return sizes, names, content['statistics']


def add_sizes(sections: list[dict[str, Any]], sizes: dict[str, float]) -> None:
    """Fill in counted sizes where a publisher states none; those of one network are the same."""
    rows = []
    for section in sections:
        columns = section['columns'] = list(dict.fromkeys((*section['columns'], 'megabytes',
                                                           'is_counted')))  # fmt: skip
        for i, row in enumerate(section['rows']):
            row = section['rows'][i] = [*row, *[None] * (len(columns) - len(row))]
            rows.append((section['scheme'] + row[0], row, *map(columns.index, _SIZE_COLUMNS)))
    by_fits = {row[fits]: sizes[name] for name, row, fits, *_ in rows if name in sizes}
    for name, row, fits, size, mark in rows:
        found = sizes.get(name, by_fits.get(row[fits]))
        if row[size] is None and found is not None:
            row[size], row[mark] = found, True


def missing_sizes(sections: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the name and what takes it, of all files whose size is not known."""
    missing = []
    for section in sections:
        for row in section['rows']:
            own = dict(zip(section['columns'], row, strict=True))
            if own['megabytes'] is None:
                missing.append((section['scheme'] + own['name'], own['fits']))
    return missing


def count_sizes(missing: list[tuple[str, str]], sizes: dict[str, float]) -> None:
    """Add the sizes of files, as far as their networks can be built."""
    known: dict[str, float] = {}
    for name, fits in missing:
        model = _network(fits)
        key = json.dumps(model, sort_keys=True, default=str)
        if model is not None and key not in known:
            try:
                known[key] = count_megabytes(model)
            except (ImportError, KeyError, TypeError, ValueError) as error:
                print(f'{name}: {error}', flush=True)
                known[key] = 0
        if model is not None and known[key]:
            sizes[name] = known[key]
            print(f'{name}: {sizes[name]} MB', flush=True)


def _network(fits: str) -> dict[str, Any] | None:
    """Return the settings of what a file is for: a model, a backbone, or None."""
    from msseg.config import Config

    config = upstream_configs() / f'{fits.partition(",")[0].removeprefix("backbone of ")}.py'
    if config.exists():
        settings = Config.fromfile(config).model.to_dict()
        return settings['backbone'] if fits.startswith('backbone of ') else settings
    if match := re.match(r'\w+\(.*\)', fits):
        call = ast.parse(match[0], mode='eval').body
        options = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        return {'type': call.func.id, **options}
    return None


def count_megabytes(settings: dict[str, Any]) -> float:
    """Return the size of a network's numbers in single precision, 10^6 bytes."""
    from mindspore.nn.utils import no_init_parameters

    from msseg.models import build_backbone, build_segmentor

    with no_init_parameters():
        build = build_segmentor if 'decode_head' in settings else build_backbone
        numbers = sum(value.size for value in build(settings).get_parameters())
    return float(f'{4 * numbers / 1e6:.4g}')


def write_catalogue(statistics: dict[str, list], sections: list[dict[str, Any]]) -> None:
    """Write the file, a line a row."""
    parts = []
    for section in sections:
        rows = ',\n'.join(json.dumps(row) for row in section['rows'])
        head = json.dumps({key: value for key, value in section.items() if key != 'rows'})
        parts.append(f'{head[:-1]}, "rows": [\n{rows}\n]}}')
    text = ',\n'.join(parts)
    content = f'{{"statistics": {json.dumps(statistics)},\n"sections": [\n{text}\n]}}\n'
    CATALOGUE.write_text(content, encoding='utf-8')


def make_catalogue() -> tuple[dict[str, list], list[dict[str, Any]], dict[str, float]]:
    """Return the catalogue's statistics and sections, and the sizes that have been counted."""
    sizes, names, present = read_present()
    source = yaml.safe_load(SOURCE.read_text(encoding='utf-8'))
    statistics = {**present, **source['statistics']}
    sections = checkpoint_sections(statistics, names) + source['sections']
    add_sizes(sections, sizes)
    return statistics, sections, sizes


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Write the catalogue of weights.')
    parser.add_argument('--count', action='store_true', help='count missing sizes first')
    return parser.parse_args()


def main() -> None:
    """Write the catalogue."""
    args = parse_args()
    statistics, sections, sizes = make_catalogue()
    try:
        if args.count:
            from msseg.utils.device import setup_device

            setup_device('CPU')
            count_sizes(missing_sizes(sections), sizes)
    finally:  # Ctrl-C keeps what is counted
        add_sizes(sections, sizes)
        write_catalogue(statistics, sections)
    for name, _ in missing_sizes(sections):
        print(f'{name}: size not known')


if __name__ == '__main__':
    run_main(main)
