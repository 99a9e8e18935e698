"""The length of the run against warm-up and evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from msseg.apis.settings import Setting, entry_of, part, setting
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.runner import RUNNERS
from msseg.runner.hooks import LrUpdaterHook
from msseg.utils.arguments import argument_default, fits


@dataclass(frozen=True)
class RunLength:
    """How long a run is.

    Attributes:
        said: ``runner.max_iters`` or ``runner.max_epochs``.
        by_epoch: Whether the runner's options count epochs unless they say otherwise.
        iters_per_epoch: None while the data are not known.
    """

    said: Setting
    by_epoch: bool
    iters_per_epoch: int | None = None

    @property
    def counts_epochs(self) -> bool:
        """Whether its length is given in epochs."""
        return self.said.key.endswith('max_epochs')

    def in_unit(self, epochs: bool) -> int | None:
        """Return its length in epochs or iterations; None when that needs the data."""
        if epochs == self.counts_epochs:
            return self.said.value
        if self.iters_per_epoch is None:
            return None
        if self.counts_epochs:
            return self.said.value * self.iters_per_epoch
        return self.said.value // self.iters_per_epoch


def run_length(cfg: Config, iters_per_epoch: int | None = None) -> RunLength | None:
    """Return how long a config's run is, None when it does not say so."""
    runner = part(cfg, 'runner')
    for name in ('max_iters', 'max_epochs'):
        said = setting(runner, name)
        if said is not None and fits(said.value, int) and said.value > 0:
            by_epoch = getattr(entry_of(runner, RUNNERS), 'by_epoch', name == 'max_epochs')
            return RunLength(said, by_epoch, iters_per_epoch)
    return None


def check_schedule(cfg: Config, findings: Findings, iters_per_epoch: int | None = None) -> None:
    """Compare warm-up and evaluation with the length of the run.

    Args:
        cfg: The config.
        findings: Where to note what is longer.
        iters_per_epoch: None while the data are not known: then only what is said in one unit is
            compared.
    """
    run = run_length(cfg, iters_per_epoch)
    if run is None:
        return
    _check_warmup(cfg, run, findings)
    _check_evaluation(cfg, run, findings)


def _check_warmup(cfg: Config, run: RunLength, findings: Findings) -> None:
    options = part(cfg, 'lr_config')
    length = setting(options, 'warmup_iters')
    if options.get('warmup') is None or length is None or not fits(length.value, int):
        return
    default = argument_default(LrUpdaterHook, 'warmup_by_epoch')
    epochs = bool(options.get('warmup_by_epoch', default))
    _compare(length, length.value + 1, epochs, run, 'warmup', findings)


def _check_evaluation(cfg: Config, run: RunLength, findings: Findings) -> None:
    options = part(cfg, 'evaluation')
    interval, start = setting(options, 'interval'), setting(options, 'start')
    first = interval if start is None or not start.value else start
    if first is not None and fits(first.value, int):
        epochs = bool(options.get('by_epoch', run.by_epoch))
        _compare(first, first.value, epochs, run, 'evaluation_interval', findings)


def _compare(
    said: Setting, needed: int, epochs: bool, run: RunLength, kind: str, findings: Findings
) -> None:
    """Note a setting that needs a longer run than there is."""
    there = run.in_unit(epochs)
    if there is not None and needed > there:
        unit = 'epochs' if epochs else 'iterations'
        length = '' if epochs == run.counts_epochs else f', {there} {unit}'
        findings.add(kind, said, f'{said.value} {unit}, but {run.said}{length}')
