"""Wrong input for the command lines, and what each must say."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from msseg.config import Config
from msseg.models import build_segmentor
from msseg.models.builder import BACKBONES
from msseg.runner.checkpoint import save_checkpoint
from tests import small_run
from tests.moxing_stand_in import Storage
from tests.tiny import write_config, write_discs


@BACKBONES.register_module()
class Quarter(nn.Cell):
    """One convolution, to a quarter of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, stride=4, pad_mode='valid')

    def construct(self, x: Tensor) -> tuple[Tensor]:
        """Give the only feature map."""
        return (self.conv(x),)


SMALL = small_run.CONFIG.replace("custom_imports = dict(imports=['small_parts'])", '').replace(
    'OneConv', 'Quarter'
)


class World:
    """A folder with a data set, a config that trains on it and a checkpoint that fits.

    Args:
        folder: An empty folder.
        more: What to append to the config.
        large: Whether to take the tiny OCRNet instead of a network of one convolution.
        monkeypatch: pytest's, for environments.
    """

    def __init__(
        self, folder: Path, more: str, large: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.root = write_discs(folder / 'data', count=2)
        self.config = folder / 'small.py'
        if large:
            self.config = write_config(folder, self.root, more)
        else:
            self.config.write_text(SMALL.replace('{root}', str(self.root)) + more)
        self.monkeypatch = monkeypatch

    def __str__(self) -> str:
        return str(self.folder)

    def save(self, name: str, meta: dict | None = None, **changes: object) -> Path:
        """Write a checkpoint of the config's model, with settings of its head changed."""
        config = Config.fromfile(self.config)
        config.model.decode_head.update(changes)
        path = self.folder / name
        save_checkpoint(path, build_segmentor(config.model), meta=meta)
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def label(self, image: np.ndarray) -> None:
        """Replace the first label."""
        cv2.imwrite(str(self.root / 'labels' / 'disc_0.png'), image)

    def setenv(self, **variables: str) -> None:
        """Set variables of the environment; ``{folder}`` is the world's."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value.replace('{folder}', str(self.folder)))


def _nothing(world: World) -> None:
    pass


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _pickle_that_runs(world: World) -> None:
    with zipfile.ZipFile(world.folder / 'net.pth', 'w') as file:
        file.writestr('archive/data.pkl', b"cos\nsystem\n(S'touch pwned'\ntR.")
        file.writestr('archive/version', '3')


def _labels_out_of_range(world: World) -> None:
    label = np.zeros((48, 64), np.uint8)
    label[:4] = 7
    world.label(label)


def _storage(world: World) -> None:
    world.monkeypatch.syspath_prepend(Storage(world.folder / 'storage').root)
    world.monkeypatch.delitem(sys.modules, 'moxing', raising=False)
    world.setenv(MSSEG_CACHE='{folder}/cache')


def _trained(world: World, **changes: object) -> Path:
    """Write a checkpoint that says how far it was trained, without the optimizer's state."""
    return world.save('a.ckpt', {'iter': 3, 'best_scores': {}}, **changes)


@dataclass(frozen=True)
class Case:
    """A mistake.

    Attributes:
        name: What is wrong.
        phrases: What the message says; ``{folder}`` is the world's folder.
        more: Appended to the config.
        args: What follows the config, or with `command` stands in its place; ``{folder}`` too.
        tool: The command line.
        prepare: Spoils files or the environment.
        large: See `World`.
        is_command: Whether `args` is all that the tool is given.
        status: Its exit status; 2 for what argparse refuses.
    """

    name: str
    phrases: tuple[str, ...]
    more: str = ''
    args: tuple[str, ...] = ()
    tool: str = 'train.py'
    prepare: Callable[[World], object] = _nothing
    large: bool = False
    is_command: bool = False
    status: int = 1


def _config(name: str, more: str, *phrases: str, **options: object) -> Case:
    return Case(name, phrases, more, **options)


def _hook(name: str, hook: str, *phrases: str) -> Case:
    return Case(name, phrases, f'custom_hooks = [dict({hook})]')


def _file(name: str, prepare: Callable[[World], object], *phrases: str, **options: object) -> Case:
    return Case(name, phrases, prepare=prepare, **options)


def _options(name: str, args: str, *phrases: str, **options: object) -> Case:
    return Case(name, phrases, args=tuple(args.split()), **options)


def _test(name: str, args: str, *phrases: str, **options: object) -> Case:
    more = f'data["test"] = data["val"]\n{options.pop("more", "")}'
    options = {'prepare': lambda world: world.save('a.ckpt'), **options}
    return Case(name, phrases, more, ('{folder}/a.ckpt', *args.split()), 'test.py', **options)


def _command(name: str, command: str, *phrases: str, **options: object) -> Case:
    tool, *args = command.split()
    return Case(name, phrases, args=tuple(args), tool=tool, is_command=True, **options)


_CONFIGS = [
    _config('config that is no Python', 'runner = dict(', 'small.py'),
    _config('config that fails', 'runner = 1 / 0', 'small.py', 'division'),
    _file(
        'no such config',
        lambda w: setattr(w, 'config', w.folder / 'absent.py'),
        '{folder}/absent.py',
    ),
    _file(
        'config of an unknown kind',
        lambda w: setattr(w, 'config', Path(shutil.copy(w.config, w.folder / 'small.txt'))),
        'small.txt',
        '.yaml',
    ),
    _file(
        'two bases that define one key',
        lambda w: (
            w.write('a.py', 'optimizer = dict(lr=1)'),
            w.write('b.py', 'optimizer = dict(lr=1)'),
            setattr(w, 'config', w.write('both.py', "_base_ = ['a.py', 'b.py']")),
        ),
        "'optimizer'",
        'a.py',
        'b.py',
    ),
    _config('base that is not there', "_base_ = 'none.py'", 'none.py'),
    _config('base that is itself', "_base_ = 'small.py'", 'small.py'),
    _config('unknown top-level key', 'optimiser = dict()', "'optimiser'", "'optimizer'"),
    _config(
        'unknown segmentor',
        "model['type'] = 'EncodrDecoder'",
        'model',
        'EncodrDecoder',
        "'EncoderDecoder'",
    ),
    _config(
        'unknown argument of the backbone',
        "model['backbone']['norm_evl'] = True",
        'backbone',
        "'norm_evl'",
        "'norm_eval'",
        large=True,
    ),
    _config('unknown head', "model['decode_head']['type'] = 'FCNHed'", 'FCNHed', "'FCNHead'"),
    _config(
        'unknown loss',
        "model['decode_head']['loss_decode'] = dict(type='CrossEntropy')",
        "'CrossEntropyLoss'",
    ),
    _config(
        'class weights of another number',
        "model['decode_head']['loss_decode']['class_weight'] = [1, 2, 3]",
        'class_weight has 3 numbers',
    ),
    _config(
        'wrong number of classes',
        "model['decode_head']['num_classes'] = 3",
        'num_classes=3',
        '2 classes',
    ),
    _config(
        'feature map that is not there',
        "model['decode_head'][1]['in_index'] = (0, 1, 2, 4)",
        'decode_head[1]',
        'in_index',
        '4',
        large=True,
    ),
    _config(
        'unknown normalisation',
        "model['decode_head'].update(num_convs=1, norm_cfg=dict(type='BatchNorm'))",
        'BatchNorm is not in the normalisation layer registry',
    ),
    _config(
        'pretrained weights that are not there',
        "model['pretrained'] = 'open-mmlab://msra/hrnetv2_w18_small'",
        'open-mmlab://msra/hrnetv2_w18_small',
        'pretrained=None',
    ),
    _config(
        'pretrained weights of an unknown name',
        "model['pretrained'] = 'open-mmlab://msra/hrnetv2_w19'",
        'hrnetv2_w19',
        "Did you mean 'open-mmlab://msra/hrnetv2_w18'",
    ),
    _config(
        'unknown argument of the optimizer',
        "optimizer['momentm'] = 0.9",
        'optimizer',
        "'momentm'",
        "'momentum'",
        'small.py',
    ),
    _config('unknown optimizer', "optimizer['type'] = 'SDG'", 'SDG', "'SGD'"),
    _config('no learning rate', "del optimizer['lr']", "'lr' is missing"),
    _config('negative learning rate', "optimizer['lr'] = -1.0", 'optimizer: SGD: lr is -1.0'),
    _config(
        'learning rate that is no number',
        "optimizer['lr'] = 'high'",
        "optimizer: SGD: lr is 'high'",
    ),
    _config(
        'negative weight decay',
        "optimizer['weight_decay'] = -1e-4",
        'SGD: weight_decay is -0.0001',
    ),
    _config('no optimizer', 'del optimizer', "'optimizer'", 'small.py'),
    _config(
        'unknown key of paramwise_cfg',
        "optimizer['paramwise_cfg'] = dict(norm_decay=0)",
        'norm_decay',
    ),
    _config('unknown policy', "lr_config['policy'] = 'ploy'", 'lr_config', "'ploy'", "'poly'"),
    _config('unknown warm-up', "lr_config['warmup'] = 'lin'", 'warmup', "'lin'"),
    _config('argument of another policy', "lr_config['step'] = [3]", 'step'),
    _config(
        'clipping to nothing',
        'optimizer_config = dict(grad_clip=dict(max_norm=0))',
        'grad_clip.max_norm is 0',
    ),
    _config(
        'accumulating nothing',
        'optimizer_config = dict(cumulative_iters=0)',
        'cumulative_iters is 0',
    ),
    _config(
        'unknown optimizer hook',
        "optimizer_config = dict(type='Fp16Optimizer')",
        'Fp16OptimizerHook',
    ),
    _config(
        'loss scale that is a word', "fp16 = dict(loss_scale='dinamic')", "'dinamic'", "'dynamic'"
    ),
    _config('negative loss scale', 'fp16 = dict(loss_scale=-8.0)', '-8.0', 'above 0'),
    _config(
        'loss scale that never grows',
        'fp16 = dict(loss_scale=dict(growth_interval=0))',
        'growth_interval is 0',
    ),
    _config(
        'unknown setting of the loss scale', 'fp16 = dict(loss_scale=dict(growth=2))', "'growth'"
    ),
    _config('unknown setting of fp16', 'fp16 = dict(loss_scal=2)', "'loss_scal'", "'loss_scale'"),
    _config('fp16 that is no dict', 'fp16 = True', 'fp16 is True', 'small.py', 'expected a dict'),
    _config(
        'optimizer that is no dict', "optimizer = 'SGD'", "optimizer is 'SGD'", 'expected a dict'
    ),
    _config(
        'clipping that is no dict',
        'optimizer_config = dict(grad_clip=5)',
        'grad_clip is 5',
        'expected a dict',
    ),
    _config(
        'two precisions', 'fp16 = dict(loss_scale=8.0)\nbf16 = dict()', 'fp16 and bf16 are both set'
    ),
    _config('bfloat16 on a CPU', 'bf16 = dict()', 'bfloat16', 'CPU'),
    _config('no iterations', "runner['max_iters'] = 0", 'max_iters is 0'),
    _config('two lengths', "runner['max_epochs'] = 2", 'max_iters and max_epochs'),
    _config('unknown runner', "runner['type'] = 'IterRunner'", "'IterBasedRunner'"),
    _config('workflow with validation', "workflow = [('train', 1), ('val', 1)]", 'workflow'),
    _config('unknown metric', "evaluation['metric'] = 'mIou'", "'mIou'", "'mIoU'"),
    _config(
        'score that is not reported',
        "evaluation['save_best'] = 'IoU.disk'",
        "'IoU.disk'",
        "'IoU.disc'",
    ),
    _config(
        'loss that is not reported',
        "evaluation['save_best'] = 'loss'",
        "'loss'",
        'evaluation.save_best',
    ),
    _config(
        'unknown rule',
        "evaluation.update(save_best='mIoU', rule='higher')",
        "evaluation.rule is 'higher'",
    ),
    _config(
        'evaluation every 0 iterations', "evaluation['interval'] = 0", 'evaluation.interval is 0'
    ),
    _config('validation loss by a word', "evaluation['loss'] = 'yes'", "evaluation.loss is 'yes'"),
    _config(
        'validation loss of flipped images',
        "evaluation['loss'] = True\ndata['val']['pipeline'][1]['flip'] = True",
        '2 scales and flips',
    ),
    _config(
        "Cityscapes' tool on other data",
        "evaluation['metric'] = 'cityscapes'",
        'CustomDataset',
        'CityscapesDataset',
    ),
    _config(
        'checkpoints every 0 iterations',
        "checkpoint_config['interval'] = 0",
        'checkpoint_config.interval is 0',
    ),
    _config(
        'no checkpoints to keep', "checkpoint_config['max_keep_ckpts'] = 0", 'max_keep_ckpts is 0'
    ),
    _config('log every 0 iterations', "log_config['interval'] = 0", 'log_config.interval is 0'),
    _config(
        'unknown logger', "log_config['hooks'] = [dict(type='TextLogger')]", "'TextLoggerHook'"
    ),
    _config('unknown log level', "log_level = 'INFOO'", 'log_level', "'INFOO'", "'INFO'"),
    _config('negative seed', 'seed = -1', 'seed is -1'),
    _config(
        'module that is not there',
        "custom_imports = dict(imports=['no_such_parts'])",
        'no_such_parts',
    ),
    _config(
        'scaling the learning rate from nothing',
        'auto_scale_lr = dict(enable=True)',
        'base_batch_size',
    ),
    _config(
        'scaling the learning rate from 0',
        'auto_scale_lr = dict(enable=True, base_batch_size=0)',
        'base_batch_size',
    ),
    _hook('unknown hook', "type='EMAHok'", "'EMAHook'"),
    _hook('average without momentum', "type='EMAHook', momentum=2", 'momentum is 2'),
    _hook('average every 0 iterations', "type='EMAHook', interval=0", 'interval is 0'),
    _hook('unknown argument of a hook', "type='EMAHook', momentun=0.1", "'momentun'", "'momentum'"),
    _hook(
        'unknown policy of the guard', "type='NaNGuardHook', policy='skipp'", "'skipp'", "'skip'"
    ),
    _hook(
        'guard that skips without looking',
        "type='NaNGuardHook', policy='skip', interval=5",
        'interval is 5',
    ),
    _hook(
        'stopping by a score that is not reported',
        "type='EarlyStoppingHook', monitor='mIuO'",
        "'mIuO'",
        "'mIoU'",
    ),
    _hook('stopping at once', "type='EarlyStoppingHook', patience=0", 'patience is 0'),
    _hook('unknown priority', "type='EMAHook', priority='HIGHER'", "'HIGHER'", "'HIGH'"),
]
_DATA = [
    _config(
        'no such folder of images',
        "data['train']['img_dir'] = 'image'",
        'CustomDataset',
        "'images'",
    ),
    _config(
        'no such folder of labels',
        "data['train']['ann_dir'] = 'label'",
        'CustomDataset',
        "'labels'",
    ),
    _config('no such split', "data['train']['split'] = 'none.txt'", 'none.txt'),
    _config(
        'empty split',
        "data['train']['split'] = 'empty.txt'",
        'empty.txt',
        prepare=lambda w: w.write('data/empty.txt', '\n'),
    ),
    _config(
        'split with an image that is not there',
        "data['train']['split'] = 'split.txt'",
        'split.txt, line 2',
        'disc_7',
        prepare=lambda w: w.write('data/split.txt', 'disc_0\ndisc_7\n'),
    ),
    _config('unknown data set', "data['train']['type'] = 'CustomDatset'", "'CustomDataset'"),
    _config(
        'unknown argument of a data set',
        "data['train']['image_dir'] = 'images'",
        "'image_dir'",
        "'img_dir'",
    ),
    _config('data set that is no dict', "data['val'] = 'images'", "data.val is 'images'"),
    _config('no training data', "del data['train']", "'data.train'"),
    _config(
        'unknown transform',
        "data['val']['pipeline'] = [dict(type='LoadImage')]",
        'data.val.pipeline[0]',
        "'LoadImageFromFile'",
    ),
    _config(
        'unknown argument of a transform',
        "data['train']['pipeline'][3]['probability'] = 1",
        "'probability'",
        'RandomFlip',
    ),
    _config('probability of 2', "data['train']['pipeline'][3]['prob'] = 2", 'RandomFlip', '2'),
    _config(
        'crop of no size',
        "data['train']['pipeline'][2]['crop_size'] = (0, 32)",
        'RandomCrop',
        'crop_size',
    ),
    _config(
        'division by a deviation of 0',
        "data['train']['pipeline'][4] = dict(normalize, std=[0, 1, 1])",
        'Normalize',
        'std',
    ),
    _config(
        'labels that are not collected',
        "data['train']['pipeline'][-1]['keys'] = ['img']",
        'disc_',
        "'gt_semantic_seg'",
    ),
    _config(
        'images of several sizes in a batch',
        "data['train']['pipeline'][2] = dict(type='Resize', img_scale=[(64, 48), (32, 24)])",
        'disc_0.png',
        'disc_1.png',
        'RandomCrop',
    ),
    _config('no batch', "data['samples_per_gpu'] = 0", 'data.samples_per_gpu is 0'),
    _config('fewer than no workers', "data['workers_per_gpu'] = -1", 'data.workers_per_gpu is -1'),
    _config('no time for workers', "data['worker_timeout'] = 0", 'data.worker_timeout is 0'),
    _file(
        'image without label',
        lambda w: (w.root / 'labels' / 'disc_1.png').unlink(),
        '{folder}/data/labels/disc_1.png',
    ),
    _file(
        'empty image',
        lambda w: w.write('data/images/disc_0.png', b''),
        'images/disc_0.png',
        'empty',
    ),
    _file(
        'image that is text',
        lambda w: w.write('data/images/disc_0.png', 'an image'),
        'images/disc_0.png',
        'an image',
    ),
    _file(
        'truncated label',
        lambda w: _cut(w.root / 'labels' / 'disc_0.png'),
        'labels/disc_0.png',
        'truncated',
    ),
    _file(
        'label that is text',
        lambda w: w.write('data/labels/disc_0.png', 'labels'),
        'labels/disc_0.png',
        "b'labels'",
    ),
    _file(
        'label that is a JPEG',
        lambda w: Image.new('L', (64, 48)).save(w.root / 'labels' / 'disc_0.png', 'jpeg'),
        'labels/disc_0.png',
        'JPEG',
    ),
]
_IN_WORKERS_TOO = [
    _file(
        'truncated image',
        lambda w: _cut(w.root / 'images' / 'disc_0.png'),
        'images/disc_0.png',
        'truncated',
    ),
    _file(
        'label of another size',
        lambda w: w.label(np.zeros((40, 64), np.uint8)),
        'labels/disc_0.png',
        '40x64',
        '48x64',
    ),
    _file('label out of range', _labels_out_of_range, 'labels/disc_0.png', '7 (256 px)', '[0, 2)'),
    _file(
        'coloured label',
        lambda w: w.label(np.zeros((48, 64, 3), np.uint8)),
        'labels/disc_0.png',
        'label_map',
    ),
]
_WORKERS = [
    replace(
        case, name=f'{case.name}, in a worker', args=('--cfg-options', 'data.workers_per_gpu=2')
    )
    for case in _IN_WORKERS_TOO
]
_CHECKPOINTS = [
    _options(
        'no such checkpoint to start from',
        '--load-from {folder}/absent.ckpt',
        '{folder}/absent.ckpt',
    ),
    _options(
        'no such checkpoint to go on from',
        '--resume-from {folder}/absent.ckpt',
        '{folder}/absent.ckpt',
    ),
    _options('folder in place of a checkpoint', '--load-from {folder}/data', "'{folder}/data'"),
    _options('folder to go on from', '--resume-from {folder}/data', "'{folder}/data'"),
    _options(
        'text to start from',
        '--load-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'damaged',
        prepare=lambda w: w.write('a.ckpt', 'no checkpoint'),
    ),
    _options(
        'text to go on from',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'damaged',
        prepare=lambda w: w.write('a.ckpt', 'no checkpoint'),
    ),
    _options(
        'empty checkpoint',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'damaged',
        prepare=lambda w: w.write('a.ckpt', ''),
    ),
    _options(
        'half a checkpoint',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'damaged',
        prepare=lambda w: _cut(w.save('a.ckpt')),
    ),
    _options(
        'checkpoint with a flipped bit',
        '--load-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'checksum',
        prepare=lambda w: _flip_bit(w.save('a.ckpt')),
    ),
    _options(
        'going on from weights alone',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'iteration',
        '--load-from',
        prepare=lambda w: w.save('a.ckpt'),
    ),
    _options(
        'going on without the state of training',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        "'optimizer.",
        '--load-from',
        prepare=_trained,
    ),
    _options(
        'going on with another network',
        '--resume-from {folder}/a.ckpt',
        '{folder}/a.ckpt',
        'conv_seg',
        prepare=lambda w: _trained(w, num_classes=5),
    ),
    _options(
        'PyTorch file that wants to run something',
        '--load-from {folder}/net.pth',
        '{folder}/net.pth',
        "'os.system'",
        prepare=_pickle_that_runs,
    ),
    _options(
        'PyTorch file that is cut short',
        '--load-from {folder}/net.pth',
        '{folder}/net.pth',
        'damaged',
        prepare=lambda w: w.write('net.pth', b'PK\3\4 no zip'),
    ),
    _options(
        'safetensors that are none',
        '--load-from {folder}/net.safetensors',
        '{folder}/net.safetensors',
        prepare=lambda w: w.write('net.safetensors', b'\xff' * 40),
    ),
    _test(
        'testing another network',
        '--eval mIoU',
        '{folder}/a.ckpt',
        'conv_seg',
        prepare=lambda w: w.save('a.ckpt', num_classes=5),
    ),
    _test(
        'testing a damaged checkpoint',
        '--eval mIoU',
        '{folder}/a.ckpt',
        'damaged',
        prepare=lambda w: _cut(w.save('a.ckpt')),
    ),
    _test('testing no checkpoint', '--eval mIoU', '{folder}/a.ckpt', prepare=_nothing),
]
_OPTIONS = [
    _options('unknown setting', '--cfg-options optimizer.lrr=0.1', 'optimizer.lrr', "'lr'"),
    _options(
        'setting without a value',
        '--cfg-options optimizer.lr',
        'key=value',
        "'optimizer.lr'",
        status=2,
    ),
    _options('unknown option', '--sed 3', '--sed', status=2),
    _options('seed that is a word', '--seed three', '--seed', "'three'", status=2),
    _options('negative seed as an option', '--seed -3', 'seed is -3'),
    _options('unknown device', '--device TPU', "'TPU'", 'Ascend'),
    _options('device that is not there', '--device Ascend', "'Ascend'", 'not available'),
    _options(
        'early stopping without evaluation',
        '--no-validate',
        'EarlyStoppingHook',
        '--no-validate',
        more="custom_hooks = [dict(type='EarlyStoppingHook')]",
    ),
    _config('hooks that are a word', "custom_hooks = 'EMAHook'", "custom_hooks is 'EMAHook'"),
    _options('unknown launcher', '--launcher slurm', "'slurm'", "'msrun'"),
    _options('msrun that did not start this', '--launcher msrun', 'MS_ROLE', 'msseg dist train'),
    _options('mpi that did not start this', '--launcher mpi', 'OMPI_COMM_WORLD_SIZE', 'mpirun'),
    _options('ranktable that did not start this', '--launcher ranktable', 'RANK_TABLE_FILE'),
    _options(
        'scaling the learning rate from nothing by an option',
        '--auto-scale-lr',
        'base_batch_size is None',
    ),
    _file(
        'file in place of the work dir',
        lambda w: w.write('run', 'a file in the way'),
        '{folder}/run',
        '--work-dir',
    ),
    _test('unknown metric to test by', '--eval mIuO', "'mIuO'", "'mIoU'"),
    _test(
        'labels that nobody can see', '--show-dir {folder}/shown --opacity 0', '--opacity is 0.0'
    ),
    _test('label archive of another kind', '--out {folder}/labels.pkl', 'labels.pkl', '.npz'),
    _test(
        'unknown way to test',
        '--eval mIoU --cfg-options model.test_cfg.mode=slid',
        "'slid'",
        "'slide'",
    ),
    _test(
        'windows of no size',
        '--eval mIoU --cfg-options model.test_cfg.mode=slide',
        'model.test_cfg: crop_size is missing',
    ),
    _test(
        'swapping classes that are not there',
        '--eval mIoU --cfg-options model.test_cfg.swap_seg_labels=[[0,5]]',
        'swap_seg_labels',
        '(0, 5)',
    ),
    _test(
        "Cityscapes' tool for other data to test",
        '--eval cityscapes',
        'CustomDataset',
        'CityscapesDataset',
    ),
    _test(
        'six scales of one',
        '--eval mIoU --aug-test',
        '--aug-test',
        'MultiScaleFlipAug',
        more="data['test']['pipeline'] = data['test']['pipeline'][:1]",
    ),
    _test(
        'scores without labels',
        '--eval mIoU',
        'disc_0.png',
        'ann_dir',
        more="data['test'] = {k: v for k, v in data['test'].items() if k != 'ann_dir'}",
    ),
]
_ENVIRONMENTS = [
    _options(
        'ModelArts without moxing', '--modelarts --data-url obs://b/data', "'moxing'", 'local paths'
    ),
    _options('URL without ModelArts', '--data-url obs://b/data', '--data-url', '--modelarts'),
    _options(
        'URL with nothing there',
        '--modelarts --data-url obs://b/data',
        "--data-url is 'obs://b/data'",
        prepare=_storage,
    ),
    _options(
        'file in place of the cache',
        '--modelarts --data-url obs://b/data',
        '{folder}/cache',
        'MSSEG_CACHE',
        prepare=lambda w: (_storage(w), w.write('cache', '')),
    ),
    _options(
        'rank table that is not there',
        '--launcher ranktable',
        '{folder}/ranks.json',
        prepare=lambda w: w.setenv(
            RANK_TABLE_FILE='{folder}/ranks.json', RANK_ID='0', DEVICE_ID='0'
        ),
    ),
    _options(
        'rank table that is none',
        '--launcher ranktable',
        '{folder}/ranks.json',
        'server_list',
        prepare=lambda w: w.setenv(
            RANK_TABLE_FILE=str(w.write('ranks.json', '{}')), RANK_ID='0', DEVICE_ID='0'
        ),
    ),
    _options(
        'rank that is no number',
        '--launcher ranktable',
        "RANK_ID in the environment is 'one'",
        prepare=lambda w: w.setenv(
            RANK_TABLE_FILE='{folder}/ranks.json', RANK_ID='one', DEVICE_ID='0'
        ),
    ),
    _command(
        'number of processes that is a word',
        'dist_run.py train {folder}/small.py two',
        "NUM is 'two'",
    ),
    _command('no processes', 'dist_run.py train {folder}/small.py 0', "NUM is '0'"),
    _command(
        'machine that is not among them',
        'dist_run.py train {folder}/small.py 1',
        'NODE_RANK is 3',
        prepare=lambda w: w.setenv(NNODES='2', NODE_RANK='3', MASTER_ADDR='localhost'),
    ),
    _command(
        'machines without an address',
        'dist_run.py train {folder}/small.py 1',
        'MASTER_ADDR',
        prepare=lambda w: w.setenv(NNODES='2'),
    ),
    _command(
        'port that is a word',
        'dist_run.py train {folder}/small.py 1',
        "PORT is 'http'",
        prepare=lambda w: w.setenv(PORT='http'),
    ),
    _command(
        'waiting for stuck ranks that makes no sense',
        'dist_run.py train {folder}/small.py 1 --work-dir {folder}/run',
        "MSSEG_STUCK_AFTER_S is 'soon'",
        prepare=lambda w: w.setenv(MSSEG_STUCK_AFTER_S='soon'),
    ),
]
_OTHER_TOOLS = [
    _command(
        'explaining a key that is not there',
        'print_config.py {folder}/small.py --explain optimizer.lrr',
        "optimizer has no key 'lrr'",
    ),
    _command('curve of no log', 'analyze_logs.py {folder}/none.log.json', '{folder}/none.log.json'),
    _command('curve of a text', 'analyze_logs.py {folder}/small.py', '{folder}/small.py'),
    _command(
        'converting nothing',
        'convert_from_torch.py {folder}/none.pth {folder}/new.ckpt',
        '{folder}/none.pth',
    ),
    _command(
        'converting onto the source',
        'convert_from_torch.py {folder}/a.ckpt {folder}/a.ckpt',
        '{folder}/a.ckpt',
        prepare=lambda w: w.save('a.ckpt'),
    ),
    _command(
        'predicting nothing',
        'predict.py {folder}/small.py {folder}/a.ckpt {folder}/none.png --out {folder}/out',
        '{folder}/none.png',
        prepare=lambda w: w.save('a.ckpt'),
    ),
]
CASES = (
    *_CONFIGS,
    *_DATA,
    *_IN_WORKERS_TOO,
    *_WORKERS,
    *_CHECKPOINTS,
    *_OPTIONS,
    *_ENVIRONMENTS,
    *_OTHER_TOOLS,
)
