"""Names and methods of MMSegmentation that registries refuse, with what to write here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msseg.utils.errors import UserTypeError

OPENMMLAB = ('mmcv', 'mmengine', 'mmseg')
FOREIGN = (*OPENMMLAB, 'torch', 'torchvision')
_MAX_LISTED = 8
_PORTING = 'docs/porting.md'
_CONFIGS = 'docs/from_mmsegmentation.md'

# Names in configs of MMSegmentation 0.x and 1.x, by the registry that would have them here.
_NAMES = {
    'backbone': """
        BEiT BiSeNetV1 BiSeNetV2 CGNet DDRNet ERFNet FastSCNN HRNet ICNet MAE MSCAN
        MixVisionTransformer MobileNetV2 MobileNetV3 PCPVT PIDNet ResNeSt ResNeXt ResNet ResNetV1c
        ResNetV1d STDCContextPathNet STDCNet SVT SwinTransformer TIMMBackbone UNet
        VPD VisionTransformer""",
    'neck': 'FPN Feature2Pyramid ICNeck JPU MLANeck MultiLevelNeck',
    'head': """
        ANNHead APCHead ASPPHead CCHead DAHead DDRHead DMHead DNLHead DPTHead
        DepthwiseSeparableASPPHead DepthwiseSeparableFCNHead EMAHead EncHead FCNHead FPNHead GCHead
        ISAHead IterativeDecodeHead KernelUpdateHead LRASPPHead LightHamHead Mask2FormerHead
        MaskFormerHead NLHead OCRHead PIDHead PSAHead PSPHead PointHead SANHead SETRMLAHead
        SETRUPHead STDCHead SegformerHead SegmenterMaskTransformerHead
        SideAdapterCLIPHead UPerHead VPDDepthHead""",
    'loss': """
        Accuracy BoundaryLoss CrossEntropyLoss DiceLoss FocalLoss HuasdorffDisstanceLoss KLDivLoss
        LovaszLoss OhemCrossEntropy SiLogLoss TverskyLoss""",
    'segmentor': """
        CascadeEncoderDecoder DepthEstimator EncoderDecoder MultimodalEncoderDecoder
        SegTTAModel""",
    'pixel sampler': 'OHEMPixelSampler',
    'dataset': """
        ADE20KDataset BDD100KDataset BaseCDDataset BaseSegDataset COCOStuffDataset ChaseDB1Dataset
        CityscapesDataset ConcatDataset CustomDataset DRIVEDataset DSDLSegDataset DarkZurichDataset
        DecathlonDataset FaceOccludedDataset HRFDataset HSIDrive20Dataset ISPRSDataset
        LEVIRCDDataset LIPDataset LoveDADataset MapillaryDataset_v1 MapillaryDataset_v2
        MultiImageMixDataset NYUDataset NightDrivingDataset PascalContextDataset
        PascalContextDataset59 PascalVOCDataset PotsdamDataset REFUGEDataset RepeatDataset
        STAREDataset SynapseDataset iSAIDDataset""",
    'pipeline': """
        AdjustGamma Albu BioMedical3DPad BioMedical3DRandomCrop BioMedical3DRandomFlip
        BioMedicalGaussianBlur BioMedicalGaussianNoise BioMedicalRandomGamma CLAHE CenterCrop
        Collect Compose ConcatCDInput DefaultFormatBundle GenerateEdge ImageToTensor
        InferencerLoader KeyMapper LoadAnnotations LoadBiomedicalAnnotation LoadBiomedicalData
        LoadBiomedicalImageFromFile LoadDepthAnnotation LoadImageFromFile LoadImageFromNDArray
        LoadMultipleRSImageFromFile LoadSingleRSImageFromFile MultiScaleFlipAug Normalize
        PackSegInputs Pad PhotoMetricDistortion RGB2Gray RandomApply RandomChoice
        RandomChoiceResize RandomCrop RandomCutOut RandomDepthMix RandomFlip RandomGrayscale
        RandomMosaic RandomResize RandomRotFlip RandomRotate Rerange Resize ResizeShortestEdge
        ResizeToMultiple SegRescale TestTimeAug ToDataContainer ToTensor Transpose
        TransformBroadcaster""",
    'hook': """
        CheckpointHook ClearMLLoggerHook ClosureHook DistEvalHook DistSamplerSeedHook
        DvcliveLoggerHook EMAHook EarlyStoppingHook EmptyCacheHook EvalHook IterTimerHook
        LoggerHook LrUpdaterHook MMSegWandbHook MlflowLoggerHook MomentumUpdaterHook NPUProfilerHook
        NeptuneLoggerHook OptimizerHook ParamSchedulerHook PaviLoggerHook PreciseBNHook ProfilerHook
        RuntimeInfoHook SegVisualizationHook SegmindLoggerHook SyncBuffersHook TensorboardLoggerHook
        TextLoggerHook WandbLoggerHook""",
    'runner': """
        DynamicIterBasedRunner EpochBasedRunner EpochBasedTrainLoop IterBasedRunner
        IterBasedTrainLoop Runner""",
    'optimizer': """
        ASGD Adadelta Adagrad Adam AdamW Adamax AmpOptimWrapper LBFGS NAdam OptimWrapper RAdam
        RMSprop Rprop SGD SparseAdam""",
    'optimizer constructor': """
        DefaultOptimizerConstructor LayerDecayOptimizerConstructor
        LearningRateDecayOptimizerConstructor""",
}
_KIND_OF = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_LOGBOOKS = ('Logger', 'Wandb')
# Formats of labelling tools, which become label files before training.
_FORMATS = ('coco', 'cvat', 'labelme', 'labelstudio', 'voc', 'yolo')


def explain_upstream_name(name: str, kind: str, here: Collection[str]) -> str:
    """Return the message for a name of MMSegmentation's that is not registered here, else ``''``.

    Data sets that are named after an annotation format have a message, too.

    Args:
        name: The value of ``type``.
        kind: The name of the registry that was searched.
        here: The registered names.

    Examples:
        >>> explain_upstream_name('ResNetV1c', 'backbone', ['HRNet'])
        "ResNetV1c is MMSegmentation's and is not in msseg yet; here are: HRNet"
        >>> explain_upstream_name('mmseg.FCNHead', 'head', ['FCNHead'])
        "msseg has no scopes: write 'FCNHead'"
        >>> explain_upstream_name('CocoDataset', 'dataset', ['CustomDataset'])
        'msseg import-labels coco makes label files for CustomDataset; there is no CocoDataset'
    """
    scope, _, bare = name.rpartition('.')
    if scope and bare in here:
        return f'msseg has no scopes: write {bare!r}'
    found = _KIND_OF.get(bare)
    tool = bare.lower().replace('_', '').removesuffix('dataset')
    if found is None and kind == 'dataset' and tool in _FORMATS:
        return f'msseg import-labels {tool} makes label files for CustomDataset; there is no {name}'
    if found is None:
        return ''
    if found != kind:
        return f'{name} of MMSegmentation does not fit here: its kind is {found}, expected {kind}'
    names = sorted(here)
    if any(word in bare for word in _LOGBOOKS):
        names = [each for each in names if any(word in each for word in _LOGBOOKS)]
    listed = ', '.join(names[:_MAX_LISTED]) or 'none'
    if len(names) > _MAX_LISTED:
        listed += f' and {len(names) - _MAX_LISTED} more (see {_CONFIGS})'
    return f"{name} is MMSegmentation's and is not in msseg yet; here are: {listed}"


# Methods that MMSegmentation's classes override and nothing here would call: the method to write
# in their place, if there is one, and the advice.
_Renamed = Mapping[str, tuple[str, str]]
_NO_LOSSES = 'construct gives logits, and losses(logits, labels) is called on them'
_SCORES = 'scores come from the confusion matrix that msseg computes; leave it out'
OF_CELLS: _Renamed = {
    'forward': ('construct', 'MindSpore calls construct: rename it'),
    'forward_train': ('', _NO_LOSSES),
    'forward_test': ('', _NO_LOSSES),
    'loss_by_feat': ('', _NO_LOSSES),
    'predict_by_feat': ('', 'construct gives logits; test_cfg configures how they become labels'),
    'encode_decode': ('', 'predict(img) gives the logits of an image'),
    'simple_test': ('', 'predict(img) gives the logits of an image'),
}
OF_SAMPLERS: _Renamed = {
    'sample': ('construct', 'write construct(self, logits, labels, losses), which returns weights')
}
OF_DATASETS: _Renamed = {
    'METAINFO': ('CLASSES', 'name the classes in CLASSES and their colours in PALETTE'),
    'load_data_list': ('load_annotations', 'write load_annotations, which returns img_infos'),
    'evaluate': ('', _SCORES),
    'pre_eval': ('', _SCORES),
    'get_classes_and_palette': ('', 'give classes and palette as arguments'),
}
OF_TRANSFORMS: _Renamed = {
    'transform': ('__call__', 'write __call__(self, results), which returns results')
}
OF_HOOKS: _Renamed = {
    **{
        name: ('', 'nothing calls it; after_evaluation(runner) follows each evaluation')
        for when in ('before', 'after')
        for name in (f'{when}_val_epoch', f'{when}_val_iter', f'{when}_test_epoch',
                     f'{when}_test_iter', f'{when}_val', f'{when}_test')
    },
    'before_train': ('before_run', 'write before_run(self, runner)'),
    'after_train': ('after_run', 'write after_run(self, runner)'),
    'before_save_checkpoint': ('before_save', 'write before_save(self, runner)'),
    'after_load_checkpoint': ('before_run', 'write before_run(self, runner)'),
}  # fmt: skip


def check_methods(renamed: _Renamed) -> Callable[[Any], None]:
    """Return a check for a registry: whether a class is written for another framework.

    It raises TypeError for a class that derives from a class of another framework, or defines a
    method under an old name without the new one.
    """

    def check(entry: Any) -> None:
        if not inspect.isclass(entry):
            return
        for base in entry.__mro__:
            if base.__module__.partition('.')[0] in FOREIGN:
                raise UserTypeError(
                    f'{entry.__name__} derives from {base.__module__}.{base.__name__}',
                    expected='a class of mindspore or msseg',
                    advice=f'see {_PORTING}',
                )
        for old, (new, advice) in renamed.items():
            owner = _owner(entry, old)
            if owner is not None and not (new and issubclass(_owner(entry, new) or object, owner)):
                place = _place(vars(owner)[old])
                problem = f'{entry.__name__} defines {old}{place}: {advice} (see {_PORTING})'
                raise UserTypeError(problem)

    return check


check_cell = check_methods(OF_CELLS)
check_sampler = check_methods(OF_SAMPLERS)


def check_hook(entry: Any) -> None:
    """Check an entry of the hooks' registry: old names, and methods with other arguments."""
    check_methods(OF_HOOKS)(entry)
    if not inspect.isclass(entry):
        return
    for name, method in inspect.getmembers(entry, inspect.isfunction):
        owners = [base for base in entry.__mro__ if name in vars(base)]
        if not name.startswith(('before_', 'after_')) or len(owners) < 2:
            continue  # no method of the base class
        parameters = list(inspect.signature(method).parameters.values())[2:]
        variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        more = [p.name for p in parameters if p.default is p.empty and p.kind not in variable]
        if more:
            raise UserTypeError(
                f'{entry.__name__} defines {name}{_place(method)}: it takes the runner alone, and '
                f'not {", ".join(more)} (see {_PORTING})'
            )


def _owner(entry: type, name: str) -> type | None:
    """Return the class that defines a name for `entry`."""
    return next((base for base in entry.__mro__ if name in vars(base)), None)


def _place(method: Any) -> str:
    code = getattr(method, '__code__', None)
    return f' ({code.co_filename}, line {code.co_firstlineno})' if code else ''
