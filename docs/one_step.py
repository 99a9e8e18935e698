"""Write docs/one_step.md: config files of MMSegmentation 0.30, trained for one step.

A file's config is loaded, checked and built as `tools/train.py` does, and trained by its own
training step on two images of random numbers at a small size. Files that differ only in data,
schedule, number of classes or file of weights have one model, which is trained once, with the
first file's settings; of the others the training step is built.

    python docs/one_step.py                   # write the page from docs/one_step.jsonl
    python docs/one_step.py --train 'ann/*'   # first train models that are not in that file yet
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import math
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from docs.model_zoo import upstream_configs
from msseg.utils.cli import CommandParser, run_main

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / 'one_step.md'
RESULTS = DOCS / 'one_step.jsonl'
SIDE = 64  # of the images, where a model takes such small ones
BATCH = 2
MOST_STEPS = 12  # in 16 bits until the loss scale fits
SAME = ('pretrained', 'num_classes', 'class_weight', 'test_cfg')
HEADER = """\
# One training step of config files

Config files of MMSegmentation 0.30 are loaded and checked as `tools/train.py` does, the model and
the training step are built (loss, optimizer with its groups of parameters, clipping, mixed
precision), and one step is done on two images of random numbers, from random weights, on a CPU
(MindSpore 2.8.0, PyNative mode; BEiT, ConvNeXt and MAE in graph mode). A model passes if all
losses, the norm of the gradients and all weights afterwards are finite, and weights have changed.
{state}

- **files**: those of the family's folder. **models**: those that are trained. Files that differ
  only in data, schedule, number of classes or file of weights share a model; of each of them the
  training step is built.
- **crop**: the side of the images: the smallest that the models take, at least {side}. A star: the
  network is built for images of that size (`img_size` of the backbone); the file's own is larger.
- **16 bits**: models that are trained in float16, as their files ask for.
- **tensors**: the trainable ones of all models. **kept**: those of them that the step left as they
  were. To be expected are those without a gradient: shifts of norms in residual branches whose
  last norm begins with the factor 0, what reaches the loss through weights that begin with 0 only,
  and blocks that drop path leaves out for both images. Their names stand in
  [one_step.jsonl](one_step.jsonl).

`python docs/one_step.py` writes this page; with `--train` and names of config files, such as
`'ann/*'`, it trains models first.

| family | files | models | passed | crop | 16 bits | tensors | kept |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Row:
    """What one training step of a model gave.

    Attributes:
        files: The config files, from the family's folder on, without the suffix; the first one's
            settings were used.
        error: Why it did not pass; empty: it did.
        size: The images' (h, w).
        resized: Whether the network was built for that size.
        dtype: The float type.
        steps: Number of steps until one was not skipped; more than 1 in 16 bits only.
        loss: The loss of the last step.
        tensors: Number of trainable tensors.
        kept: How many of them the step left as they were, by name with a star for each number.
        seconds: Time for building and training.
    """

    files: list[str]
    error: str = ''
    size: tuple[int, int] = (SIDE, SIDE)
    resized: bool = False
    dtype: str = 'float32'
    steps: int = 1
    loss: float = math.nan
    tensors: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; none if it is not there yet."""
    if not path.exists():
        return []
    found = map(json.loads, path.read_text(encoding='utf-8').splitlines())
    return [Row(**{**values, 'size': tuple(values['size'])}) for values in found]


def config_names() -> list[str]:
    """Return all config files, from the family's folder on, without the suffix."""
    root = upstream_configs()
    files = sorted(root.glob('[!_]*/*.py'))
    return [file.relative_to(root).with_suffix('').as_posix() for file in files]


# ------------------------------------------------------------------ training


def load(name: str) -> Any:
    """Return the checked config of a file."""
    from msseg.apis import load_config

    return load_config(str(upstream_configs() / f'{name}.py'))


def model_key(cfg: Any) -> str:
    """Return a text that is equal for files with the same model and precision."""
    from msseg.apis.train_settings import PrecisionSettings

    return json.dumps([_common(cfg.model.to_dict()), asdict(PrecisionSettings.of(cfg))])


def _common(node: Any) -> Any:
    if isinstance(node, Mapping):
        kept = {key: value for key, value in sorted(node.items()) if key not in SAME}
        if 'init_cfg' in kept and _is_pretrained(kept['init_cfg']):
            del kept['init_cfg']
        return {key: _common(value) for key, value in kept.items()}
    if isinstance(node, (list, tuple)):
        return [_common(value) for value in node]
    return node


def _is_pretrained(init_cfg: Any) -> bool:
    return isinstance(init_cfg, Mapping) and init_cfg.get('type') == 'Pretrained'


def train_models(names: Sequence[str], path: Path, seconds: float) -> None:
    """Train the models of config files that have no row yet, and append a row each.

    Args:
        names: The files. A model's row names all files of the family that have it.
        path: The rows' file.
        seconds: No model is begun after this time.
    """
    end = time.monotonic() + seconds
    done = {name for row in read_rows(path) for name in row.files}
    families = {name.partition('/')[0] for name in names if name not in done}
    models: dict[str, list[str]] = {}
    for name in config_names():
        if name.partition('/')[0] in families and name not in done:
            models.setdefault(model_key(load(name)), []).append(name)
    chosen = [files for files in models.values() if not set(names).isdisjoint(files)]
    for index, files in enumerate(chosen):
        if time.monotonic() > end:
            print(f'the time is over; {len(chosen) - index} models are left')
            return
        row = try_step(files)
        with path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(asdict(row)) + '\n')
        print(f'{files[0]} (of {len(files)}): {row.error or "passed"}, {row.seconds} s', flush=True)
        gc.collect()  # networks refer to themselves


def try_step(files: list[str]) -> Row:
    """Build the first file's model, train it one step, and build the steps of the other files."""
    from msseg.utils.device import set_seed

    start = time.monotonic()
    set_seed(0)
    try:
        found = _train(files)
    except (ImportError, KeyError, RuntimeError, TypeError, ValueError) as error:
        found = {'error': f'{type(error).__name__}: {error}'.splitlines()[0][:300]}
    return Row(files, **found, seconds=round(time.monotonic() - start, 1))


def _train(files: Sequence[str]) -> dict[str, Any]:
    from mindspore.nn.utils import no_init_parameters

    from msseg.apis import build_model
    from msseg.apis.build import build_train_step
    from msseg.apis.train_settings import PrecisionSettings, StepSettings

    cfg = load(files[0])
    model = build_model(cfg)
    # a network that is built for one size is built for a smaller one
    resized = any(low > SIDE for low, _ in getattr(model.backbone, 'image_sizes', ()))
    if resized:
        cfg.model.backbone.img_size = (SIDE, SIDE)
        model = build_model(cfg)
    size = small_size(model)
    with no_init_parameters():  # these steps are not run
        for name in files[1:]:
            build_train_step(model, StepSettings.of(load(name)))
    step = build_train_step(model, StepSettings.of(cfg))
    weights = step.optimizer.parameters
    before = [weight.asnumpy().copy() for weight in weights]
    values, steps = _steps(step, *random_batch(model, size))
    after = [weight.asnumpy() for weight in weights]
    kept = [
        re.sub(r'\d+', '*', weight.name)
        for weight, old, new in zip(weights, before, after, strict=True)
        if np.array_equal(old, new)
    ]
    return {
        'error': _fault(values, before, after),
        'size': size,
        'resized': resized,
        'dtype': PrecisionSettings.of(cfg).dtype,
        'steps': steps,
        'loss': float(f'{values["loss"]:.6g}'),
        'tensors': len(weights),
        'kept': dict(Counter(kept)),
    }


def _steps(step: Any, img: np.ndarray, gt: np.ndarray) -> tuple[dict[str, float], int]:
    """Train until a step is not skipped; return its values by name, and the number of steps."""
    import mindspore as ms

    for count in range(1, MOST_STEPS + 1):
        results = step(ms.Tensor(img), ms.Tensor(gt))
        numbers = [float(value.asnumpy()) for value in results]
        values = dict(zip(step.value_names, numbers, strict=True))
        if not values.get('skipped'):
            return values, count
    return values, MOST_STEPS


def _fault(values: dict[str, float], before: list[np.ndarray], after: list[np.ndarray]) -> str:
    """Return why a step does not pass, or nothing."""
    infinite = [name for name, value in values.items() if not math.isfinite(value)]
    if infinite:
        return f'not finite: {infinite}'
    if values.get('skipped'):
        return f'{MOST_STEPS} steps were skipped'
    if not all(np.isfinite(weight).all() for weight in after):
        return 'weights are not finite'
    if all(map(np.array_equal, before, after)):
        return 'no weight has changed'
    return ''


def small_size(model: Any) -> tuple[int, int]:
    """Return the smallest size of images that a model takes, at least `SIDE` if it can be."""
    divisor = model.size_divisor
    side = math.ceil(max(SIDE, model.smallest_image) / divisor) * divisor
    return side, side


def random_batch(model: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return images, and labels in blocks of 8x8 pixels with two rows that are ignored."""
    rng = np.random.default_rng(0)
    img = rng.standard_normal((BATCH, model.in_channels, *size)).astype(np.float32)
    heads = [head for _, head in model.heads if not getattr(head, 'has_own_target', False)]
    num_classes = max(min(head.num_classes for head in heads), 2)
    blocks = rng.integers(0, num_classes, (BATCH, *(-(-side // 8) for side in size)))
    gt = blocks.repeat(8, 1).repeat(8, 2)[:, : size[0], : size[1]].astype(np.int32)
    gt[:, :2] = 255
    return img, gt


# ------------------------------------------------------------------ the page


def page(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return the page of rows, a line a family; `names` are all config files."""
    ordered = sorted(rows, key=lambda row: row.files)
    families = groupby(ordered, lambda row: row.files[0].partition('/')[0])
    lines = [_line(family, list(group)) for family, group in families]
    lines.append(_line('**all**', ordered))
    left = len(set(names).difference(*(row.files for row in rows)))
    state = f'{left} of the {len(names)} files are still to be done.' if left else ''
    return HEADER.format(side=SIDE, state=state) + '\n'.join(lines) + '\n'


def _line(family: str, rows: Sequence[Row]) -> str:
    crops = [
        f'{side}{"*" * resized}' for side, resized in sorted({(r.size[0], r.resized) for r in rows})
    ]
    cells = [
        sum(len(row.files) for row in rows),
        len(rows),
        sum(not row.error for row in rows),
        ', '.join(crops),
        sum(row.dtype != 'float32' for row in rows),
        sum(row.tensors for row in rows),
        sum(sum(row.kept.values()) for row in rows),
    ]
    return f'| {family} | {" | ".join(map(str, cells))} |'


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(description='Write docs/one_step.md.')
    parser.add_argument(
        '--train', nargs='+', default=[], metavar='NAME', help='train these config files first'
    )
    parser.add_argument(
        '--results', type=Path, default=RESULTS, help='the rows, appended to by --train'
    )
    parser.add_argument(
        '--seconds', type=float, default=math.inf, help='begin no model after this time'
    )
    parser.add_argument(
        '--graph-mode', action='store_true', help='compile the steps, in place of PyNative mode'
    )
    return parser.parse_args()


def main() -> None:
    """Train what is asked for, and write the page."""
    args = parse_args()
    if args.train:
        import mindspore as ms

        from msseg.utils.device import setup_device

        names = config_names()
        for pattern in args.train:
            if not fnmatch.filter(names, pattern):
                raise ValueError(f'--train {pattern!r}: no config file of MMSegmentation matches')
        chosen = [name for name in names if any(fnmatch.fnmatch(name, p) for p in args.train)]
        setup_device('CPU')
        ms.set_context(mode=ms.GRAPH_MODE if args.graph_mode else ms.PYNATIVE_MODE)
        train_models(chosen, args.results, args.seconds)
    if args.results == RESULTS:
        PAGE.write_text(page(read_rows(RESULTS), config_names()), encoding='utf-8')


if __name__ == '__main__':
    run_main(main)
