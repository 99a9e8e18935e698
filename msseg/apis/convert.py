"""Conversion of foreign checkpoints to MindSpore ones."""

from __future__ import annotations

from pathlib import Path

from msseg.apis.architecture import check_architecture
from msseg.apis.build import build_model
from msseg.apis.train_settings import StartSettings
from msseg.config import Config, required
from msseg.convert import (
    Conversion,
    check_style,
    convert,
    detect_style,
    format_table,
    list_misfits,
    write_report,
)
from msseg.convert.names import strip_wrappers
from msseg.runner.checkpoint import Checkpoint, load_checkpoint, save_weights
from msseg.runner.load_weights import adapt_first_convs, needed_shapes, resize_tables
from msseg.utils.outputs import Outputs
from msseg.weights import find_file, is_address

_BACKBONE = 'backbone.'


def convert_checkpoint(
    source: str | Path,
    destination: str | Path,
    style: str = 'auto',
    cfg: Config | None = None,
    report: str | Path | None = None,
) -> Conversion:
    """Write a foreign checkpoint as a MindSpore one with msseg's names, and print an account.

    Args:
        source: A file of PyTorch, safetensors, or a .ckpt of the MindSpore model zoo; an address,
            or a name of the catalogue of weights.
        destination: The .ckpt file to write; its folder must exist.
        style: The origin of the names, see `msseg.convert.convert`.
        cfg: A config whose model the weights must fill: the whole model, or its backbone when
            the file has nothing else. Without it, every known name is written, and biases before
            batch norm are added to its running mean.
        report: A file for the account of every parameter; as JSON when it ends in ``.json``.

    Returns:
        The weights and the account.

    Raises:
        ValueError: The file cannot be converted, or does not fill the model; only the report is
            written.
    """
    check_style(style)
    source = find_file(source, 'source') if is_address(source) else Path(source)
    destination = Path(destination)
    _check_paths(source, destination)
    outputs = Outputs([source, None if cfg is None else cfg.filename])
    outputs.file(destination, 'destination')
    if report is not None:
        outputs.file(report, '--report', '.json', '.txt', '')
    checkpoint = load_checkpoint(source)
    model = None if cfg is None else build_model(cfg)
    wanted = None
    if model is not None:
        check_architecture(checkpoint, required(cfg, 'model'))
        wanted = needed_shapes(model, checkpoint)
    conversion = _convert(checkpoint, style, wanted)
    if model is not None:
        resize_tables(conversion, model)
        if (rule := StartSettings.of(cfg).first_conv) is not None:
            adapt_first_convs(conversion, model, rule)
    if report is not None:
        write_report(conversion, source, report)
    print(f'{source}: names of style {conversion.style!r}\n{format_table(conversion)}')
    _check_complete(conversion, source, cfg)
    meta = {**checkpoint.meta, 'converted_from': source.name, 'style': conversion.style}
    save_weights(destination, conversion.weights, meta)
    total = sum(array.size for array in conversion.weights.values())
    print(f'wrote {destination}: {len(conversion.weights)} parameters, {total:,} numbers')
    return conversion


def _convert(checkpoint: Checkpoint, style: str, wanted: dict[str, tuple] | None) -> Conversion:
    arrays = checkpoint.weights
    # names of the model's backbone alone, without backbone., are those of no origin
    is_bare = style == 'auto' and detect_style(strip_wrappers(arrays).values()) is None
    try:
        conversion = convert(arrays, style, wanted, _BACKBONE if wanted and is_bare else '')
        taken = conversion.of_kind('matched', 'converted', 'shape mismatch', 'unexpected')
        if wanted and all(entry.target.startswith(_BACKBONE) for entry in taken if entry.target):
            conversion = convert(arrays, style, wanted, _BACKBONE)
    except ValueError as error:
        raise ValueError(f'checkpoint {str(checkpoint.path)!r}: {error}') from error
    return conversion


def _check_paths(source: Path, destination: Path) -> None:
    if destination.suffix != '.ckpt':
        raise ValueError(f'destination {str(destination)!r} does not end in .ckpt')
    if not destination.parent.is_dir():
        raise FileNotFoundError(f'the folder of destination {str(destination)!r} does not exist')
    if destination.exists() and source.exists() and destination.samefile(source):
        raise ValueError(f'destination {str(destination)!r} is the source itself')


def _check_complete(conversion: Conversion, source: Path, cfg: Config | None) -> None:
    if not conversion.weights:
        raise ValueError(f'checkpoint {str(source)!r}: no parameter is known or fits the model')
    if conversion.of_kind('missing', 'shape mismatch'):
        raise ValueError(
            f'checkpoint {str(source)!r} does not fill the model of {str(cfg.filename)!r}: '
            f'{list_misfits(conversion)}'
        )
