"""What this repository's configs do in MMSegmentation: train one, or time its network.

Runs in an environment with PyTorch and MMSegmentation, without msseg. With 0.30, CONFIG
is what tools/print_config.py prints, without inheritance; with 1.x, it is a file in that dialect.
Model, pipelines, optimizer and schedule are taken from it as they are; SyncBN becomes BN, as on one
device here.

Example:
    python tools/print_config.py configs/demo/unet_nuclei.py > unet.py
    python benchmarks/in_mmsegmentation.py train unet.py --classes background nucleus \
        --work-dir work_dirs/unet_mmsegmentation
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description='A printed config in MMSegmentation 0.30.')
    commands = parser.add_subparsers(dest='command', required=True)
    train_parser = commands.add_parser('train', help='train and evaluate, on the CPU')
    train_parser.add_argument('--work-dir', required=True, help='folder for logs, checkpoints')
    train_parser.add_argument('--classes', nargs='+', help="the classes' names, for 0.30")
    train_parser.add_argument('--seed', type=int, default=0, help='of weights and samples')
    answer_parser = commands.add_parser(
        'answer', help='read "predict" and "step" from stdin; do it, write "done"'
    )
    answer_parser.add_argument('--image', type=int, nargs=2, required=True, help='h and w')
    answer_parser.add_argument('--batch', type=int, nargs=3, required=True, help='n, h and w')
    for each in (train_parser, answer_parser):
        each.add_argument('config', help='what tools/print_config.py has printed, as a file')
        each.add_argument('--threads', type=int, default=1, help='threads that compute')
    return parser.parse_args()


def plain_batch_norm(node: Any) -> None:
    """Replace SyncBN by BN in a config's dicts and lists, in place."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        for value in node.values():
            plain_batch_norm(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            plain_batch_norm(value)


def custom_dataset(split: dict[str, Any], classes: list[str]) -> None:
    """Make a split of the config one of MMSegmentation's CustomDataset, in place."""
    split.update(type='CustomDataset', classes=classes, img_suffix='.jpg', seg_map_suffix='.png')
    for step in split['pipeline']:
        if step['type'] == 'MultiScaleFlipAug':
            step.setdefault('img_scale', None)  # there it has no default


def train(args: argparse.Namespace, cfg: Any) -> None:
    """Train and evaluate as the config says, without worker processes."""
    from mmseg.apis import set_random_seed, train_segmentor
    from mmseg.datasets import build_dataset
    from mmseg.models import build_segmentor

    if not args.classes:
        sys.exit(
            "--classes is missing: MMSegmentation 0.30 has none of this repository's data sets"
        )
    for name in ('train', 'val', 'test'):
        custom_dataset(cfg.data[name], args.classes)
    cfg.data.update(workers_per_gpu=0, persistent_workers=False)
    cfg.update(work_dir=args.work_dir, gpu_ids=[0], device='cpu', seed=args.seed)
    cfg.workflow = [('train', 1)]
    Path(args.work_dir).mkdir(parents=True, exist_ok=True)
    set_random_seed(args.seed)
    model = build_segmentor(cfg.model)
    model.init_weights()
    dataset = build_dataset(cfg.data.train)
    model.CLASSES = dataset.CLASSES
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    train_segmentor(model, dataset, cfg, validate=True, timestamp=timestamp, meta={})


def answer(actions: dict[str, Callable[[], None]]) -> None:
    """Do what is asked for on stdin, until it ends: one prediction, or one train step."""
    print('ready', flush=True)
    for line in sys.stdin:
        actions[line.strip()]()
        print('done', flush=True)


def _prediction(args: argparse.Namespace, cfg: Any) -> Callable[[], None]:
    import torch
    from mmseg.models import build_segmentor

    model = build_segmentor(cfg.model).eval()
    image = torch.randn(1, 3, *args.image)

    def predict() -> None:
        with torch.no_grad():
            model.encode_decode(image, [{'img_shape': args.image}])

    return predict


def _step(args: argparse.Namespace, cfg: Any) -> Callable[[], None]:
    import torch
    from mmseg.core.builder import build_optimizer
    from mmseg.models import build_segmentor

    model = build_segmentor(cfg.model).train()
    optimizer = build_optimizer(model, cfg.optimizer)
    number, *size = args.batch
    labels = torch.randint(0, model.num_classes, (number, 1, *size))
    batch = dict(img=torch.randn(number, 3, *size), img_metas=[{}] * number)

    def step() -> None:
        optimizer.zero_grad()
        model.train_step(dict(batch, gt_semantic_seg=labels), None)['loss'].backward()
        optimizer.step()

    return step


def train_1x(args: argparse.Namespace, cfg: Any) -> None:
    """Train and evaluate as a file of 1.x says."""
    from mmengine.runner import Runner

    if args.classes:
        sys.exit("--classes was given, but a file of 1.x names its data sets' classes itself")
    cfg.update(work_dir=args.work_dir, randomness=dict(seed=args.seed))
    Runner.from_cfg(cfg).train()


def _step_1x(args: argparse.Namespace, cfg: Any) -> Callable[[], None]:
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.structures import PixelData
    from mmseg.models import build_segmentor
    from mmseg.structures import SegDataSample

    model = build_segmentor(cfg.model).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    number, *size = args.batch
    images = torch.randn(number, 3, *size)
    samples = []
    for _ in range(number):
        labels = torch.randint(0, model.num_classes, (1, *size))
        edges = PixelData(data=torch.randint(0, 2, (1, *size)))
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels), gt_edge_map=edges))

    def step() -> None:
        wrapper.update_params(model.parse_losses(model.loss(images, samples))[0])

    return step


def _load(path: str) -> tuple[Any, dict[str, Callable]]:
    """Return a config, and what this MMSegmentation does with it."""
    import mmseg

    if mmseg.__version__.startswith('0.'):
        from mmcv import Config

        cfg, does = Config.fromfile(path), {'train': train, 'step': _step}
    else:
        from mmengine.config import Config
        from mmseg.utils import register_all_modules

        register_all_modules()
        cfg, does = Config.fromfile(path), {'train': train_1x, 'step': _step_1x}
    plain_batch_norm(cfg.model)
    return cfg, does


def main() -> None:
    """Train, or answer."""
    args = parse_args()
    import torch

    torch.set_num_threads(args.threads)
    cfg, does = _load(args.config)
    if args.command == 'train':
        does['train'](args, cfg)
    else:
        answer({'predict': _prediction(args, cfg), 'step': does['step'](args, cfg)})


if __name__ == '__main__':
    main()
