"""Modules by the names that they had in version 0.1: they still import, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Old to new, below msseg; of two that fit the longer stands first.
_RENAMED = {
    'apis.export.onnx_builder': 'export.onnx_graph',
    'apis.export.concat_convs': 'export.passes',
    'apis.export.onnx_model': 'export.onnx_graph',
    'apis.export.references': 'export.verify',
    'apis.export.operands': 'export.passes',
    'apis.export.network': 'export.writers',
    'apis.export.compare': 'export.verify',
    'apis.export.ports': 'export.options',
    'apis.export.fold': 'export.passes',
    'deploy.mindir_runner': 'deploy.runners',
    'deploy.lite_runner': 'deploy.runners',
    'deploy.onnx_runner': 'deploy.runners',
    'convert.pickled_names': 'convert.pickles',
    'convert.stored_tensor': 'convert.tensors',
    'convert.torch_stream': 'convert.torch_files',
    'convert.safetensors': 'convert.read',
    'convert.torch_zip': 'convert.torch_files',
    'convert.unpickler': 'convert.pickles',
    'utils.upstream_names': 'utils.upstream',
    'utils.renamed_methods': 'utils.upstream',
    'utils.memory': 'utils.resources',
    'utils.disk': 'utils.resources',
    'utils.environment': 'utils.device',
    'utils.compile_cache': 'utils.device',
    'utils.log_file': 'utils.logging',
    'utils.signature': 'utils.arguments',
    'config.inheritance': 'config.reader',
    'config.provenance': 'config.config_dict',
    'config.variables': 'config.python_reader',
    'config.literals': 'config.writer',
    'config.limits': 'config.config_dict',
    'apis.settings': 'checks.config.settings',
    'apis.check_config.kinds': 'checks.config.rules',
    'apis.check_config.trial': 'checks.config.dry_run',
    'apis.evaluation_report': 'reports.evaluation_report',
    'apis.confusion_picture': 'reports.confusion_picture',
    'apis.prediction.inputs': 'apis.image_inputs',
    'apis.export.read_graph': 'models.analysis.read_graph',
    'utils.once_per_machine': 'launch.once_per_machine',
    'apis.memory_estimate': 'models.analysis.memory_estimate',
    'apis.validation_loss': 'inference.validation_loss',
    'apis.check_dataset.class_weights': 'checks.data.report',
    'apis.check_dataset.start_check': 'checks.data.sample',
    'apis.check_dataset.kinds': 'checks.data.rules',
    'apis.check_dataset': 'checks.data',
    'datasets.pipelines.random_source': 'datasets.pipelines.transform',
    'datasets.pipelines.label_check': 'datasets.pipelines.label_file',
    'datasets.file_scan': 'checks.data.file_scan',
    'apis.check_config': 'checks.config',
    'apis.image_scores': 'reports.image_scores',
    'apis.compare_runs': 'reports.curves',
    'apis.export.graph': 'models.analysis.graph',
    'utils.rank_report': 'launch.rank_report',
    'apis.deploy_test': 'export.evaluation',
    'apis.three_steps': 'export.evaluation',
    'deploy.open_file': 'deploy.runners',
    'deploy.sidecar': 'deploy.metadata',
    'apis.preparation': 'inference.preparation',
    'models.decode_heads.base_cascade_decode_head': 'models.decode_heads.base_decode_head',
    'models.decode_heads.object_attention': 'models.decode_heads.ocr_head',
    'models.segmentors.inference_segmentor': 'models.segmentors.outputs',
    'models.segmentors.segmentor_with_loss': 'models.segmentors.outputs',
    'models.segmentors.head_logits': 'models.segmentors.outputs',
    'models.segmentors.head_losses': 'models.segmentors.outputs',
    'models.segmentors.check_heads': 'models.contract',
    'models.layers.channel_reduction': 'models.layers.pixelwise',
    'models.layers.channel_softmax': 'models.layers.pixelwise',
    'models.layers.label_log_prob': 'models.layers.pixelwise',
    'models.layers.softplus': 'models.layers.pixelwise',
    'models.layers.descending_order': 'models.layers.host_ops',
    'models.layers.host_function': 'models.layers.host_ops',
    'models.layers.gram_matrix': 'models.layers.host_ops',
    'models.layers.sync_batch_norm': 'models.layers.norm',
    'models.layers.batch_product': 'models.layers.precision',
    'models.layers.repeat_pixels': 'models.layers.resize',
    'models.layers.conv_module': 'models.layers.conv',
    'models.layers.recompute': 'models.layers.res_block',
    'models.losses.region_information': 'models.losses.rmi_loss',
    'models.losses.lovasz_extension': 'models.losses.lovasz_loss',
    'models.losses.class_weight': 'models.losses.common',
    'models.losses.one_hot': 'models.losses.common',
    'models.losses.reduce': 'models.losses.common',
    'evaluation.confusion': 'evaluation.metrics',
    'apis.prediction': 'prediction',
    'apis.complexity': 'models.analysis.complexity',
    'apis.modelarts': 'launch.modelarts',
    'apis.findings': 'checks.findings',
    'apis.segment': 'inference.inferencer',
    'utils.launch': 'launch.spawn',
    'apis.report': 'reports.curves',
    'apis.browse': 'reports.browse',
    'apis.export': 'export',
    'apis.page': 'reports.page',
    'datasets.loader': 'datasets',
    'utils.job': 'launch.job',
    'apis.optimization': 'apis.build',
    'apis.precision': 'apis.train_settings',
    'apis.pretrained': 'apis.model_source',
    'apis.manifest': 'apis.work_dir',
    'runner.hooks.stop_signal': 'runner.hooks.default_hooks',
    'runner.hooks.iter_timer': 'runner.hooks.default_hooks',
    'runner.hooks.progress': 'runner.hooks.default_hooks',
    'runner.nonfinite_report': 'runner.hooks.nan_guard',
    'runner.accumulator': 'runner.gradients',
    'runner.grad_reducer': 'runner.gradients',
    'runner.log_buffer': 'runner.hooks.logger',
    'runner.score_rule': 'runner.hooks.evaluation',
    'runner.optimizers': 'runner.optimizer',
    'runner.grad_clip': 'runner.gradients',
    'runner.ema': 'runner.hooks.ema',
}


class RenamedModules(MetaPathFinder, Loader):
    """Find modules by their old names; the module is the new one, not a copy."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if new_name(fullname) is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        new = new_name(spec.name)
        warnings.warn(
            f'{spec.name} is {new} now; the old name goes with the next version',
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(new)
        self._specs[new] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It ran when it was imported by its name; importlib has just put the old name's spec there.
        module.__spec__ = self._specs.pop(module.__name__)


def new_name(fullname: str) -> str | None:
    """Return the name that a module has now; None when it was not renamed."""
    package, _, name = fullname.partition('.')
    if package != 'msseg':
        return None
    for old, new in _RENAMED.items():
        if name == old or name.startswith(f'{old}.'):
            return f'msseg.{new}{name[len(old) :]}'
    return None


def install() -> None:
    """Let old names import; once."""
    if not any(isinstance(finder, RenamedModules) for finder in sys.meta_path):
        # first: below a package that has its old name, files would be found and run a second time
        sys.meta_path.insert(0, RenamedModules())
