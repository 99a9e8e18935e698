"""Export of a trained network to a file that gives the same answers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.apis.architecture import check_architecture
from msseg.apis.inference import find_classes
from msseg.apis.model_source import find_checkpoint
from msseg.config import Config, required
from msseg.deploy.metadata import Metadata, sidecar
from msseg.export.describe import describe_preprocessing
from msseg.export.options import ExportOptions
from msseg.export.verify import Agreement, compare, find_images, make_cases
from msseg.export.writers import WRITERS
from msseg.models import build_segmentor
from msseg.models.contract import check_takes_any_size
from msseg.runner import load_checkpoint, load_weights
from msseg.utils.atomic import atomic_path
from msseg.utils.device import setup_device, switch_off_compile_cache
from msseg.utils.device_name import parse_device
from msseg.utils.errors import UserValueError
from msseg.utils.logging import get_logger
from msseg.utils.outputs import Outputs
from msseg.version import __version__


def export_model(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path,
    options: ExportOptions,
    images: Sequence[str | Path] = (),
    device: str | None = None,
) -> tuple[Metadata, Agreement]:
    """Export a trained network, and compare the file with the checkpoint before it appears.

    Args:
        cfg: The config, already checked.
        checkpoint: See `find_checkpoint`; of msseg or another framework.
        out: The file; its metadata are written to ``OUT.json``.
        options: See `ExportOptions`.
        images: Files for the comparison; by default some of ``data.test``.
        device: For ``air`` an Ascend card, see `setup_device`. Other formats are made and compared
            on the CPU, since cards round the factors of products.

    Returns:
        The file's description, and its agreement with the checkpoint.

    Raises:
        FileNotFoundError, ImportError, KeyError, OSError, ValueError: Something is missing or not
            possible, or the file disagrees; then nothing is written.

    With a config and a checkpoint::

        cfg = load_config('configs/demo/ocrnet_nuclei.py')
        options = ExportOptions('onnx', size=(256, 256), dynamic=True)
        metadata, agreement = export_model(cfg, 'iter_500.ckpt', 'demo.onnx', options)
    """
    out = Path(out)
    options.check(out, _setup(options.file_format, device, cfg.get('device')))
    checkpoint = find_checkpoint(cfg, checkpoint)
    outputs = Outputs([cfg.filename, checkpoint, *images])
    for target in (out, sidecar(out)):
        outputs.file(target, '--out')
    preprocessing = describe_preprocessing(cfg, options.include_preprocessing)
    images = images or find_images(cfg, options.size)
    model, meta = _load(cfg, checkpoint)
    if options.dynamic:
        check_takes_any_size(model)
    spec, channels = model.output_spec, len(preprocessing.mean)
    if model.in_channels != channels:
        problem = f'Normalize has {channels} channels, but the network takes {model.in_channels}'
        raise UserValueError(problem, config_path='data.test.pipeline', file=cfg.filename)
    if spec.kind != 'logits':
        problem = f'gives {spec.kind}, but only networks that give logits can be exported'
        raise UserValueError(problem, config_path='model.decode_head', file=cfg.filename)
    classes, palette = find_classes(model, meta, cfg)
    origin = {'config': cfg.filename, 'checkpoint': checkpoint, 'mindspore': ms.__version__}
    metadata = Metadata(
        input=options.input_port(channels),
        output=options.output_port(spec.out_channels),
        preprocessing=preprocessing,
        classes=tuple(classes),
        palette=tuple(palette),
        align_corners=spec.align_corners,
        threshold=spec.threshold,
        toolbox_version=__version__,
        format_version=preprocessing.format_version,
        origin={key: str(value) for key, value in origin.items()},
    )
    cases = make_cases(model, metadata, images, options.size)
    with tempfile.TemporaryDirectory(prefix='.export-', dir=out.parent) as folder:
        written = Path(folder) / f'model.{options.file_format}'
        run = WRITERS[options.file_format](model, metadata, written)
        agreement = compare(run, cases, len(images), spec.threshold)
        agreement.check(str(out))
        for source, target in ((sidecar(written), sidecar(out)), (written, out)):
            with atomic_path(target) as temporary:
                os.replace(source, temporary)
    return metadata, agreement


def _setup(file_format: str, device: str | None, settings: Any) -> str:
    """Choose the device of an export."""
    if file_format == 'air':
        given = settings if isinstance(settings, Mapping) else {}
        return setup_device(device or 'Ascend', settings={**given, 'jit_level': 'O2'})
    if device is not None and parse_device(device)[0] not in ('auto', 'CPU'):
        get_logger().warning(
            '--device %s is for air alone: %s is made and compared on the CPU',
            device,
            file_format,
        )
    return setup_device('CPU')


def _load(cfg: Config, checkpoint: str | Path) -> tuple[nn.Cell, dict]:
    """Return the network in float32 and the checkpoint's meta data."""
    switch_off_compile_cache()  # its key does not depend on folded norms
    model = build_segmentor(required(cfg, 'model'), cfg.get('train_cfg'), cfg.get('test_cfg'))
    loaded = load_checkpoint(checkpoint).as_evaluated()
    check_architecture(loaded, required(cfg, 'model'))
    load_weights(model, loaded)
    model.set_train(False)
    if (model.test_cfg or {}).get('mode') == 'slide':
        get_logger().warning(
            "model.test_cfg.mode is 'slide', but an exported file sees a whole image at once: "
            'its scores differ from those of msseg test'
        )
    return model, loaded.meta
