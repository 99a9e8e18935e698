"""The names that configs of MMSegmentation 0.x and 1.x use, by the registry that has them here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

_MAX_LISTED = 8
_DOCS = 'docs/from_mmsegmentation.md'
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


def explain_upstream_name(name: str, kind: str, here: Collection[str]) -> str:
    """Return what to say of a name that is MMSegmentation's and not registered here, else ``''``.

    Args:
        name: The value of ``type``.
        kind: What was looked for: a registry's name.
        here: The registered names.

    Example:
        >>> explain_upstream_name('ResNetV1c', 'backbone', ['HRNet'])
        "ResNetV1c is MMSegmentation's and is not in msseg yet; here are: HRNet"
        >>> explain_upstream_name('mmseg.FCNHead', 'head', ['FCNHead'])
        "msseg has no scopes: write 'FCNHead'"
    """
    scope, _, bare = name.rpartition('.')
    if scope and bare in here:
        return f'msseg has no scopes: write {bare!r}'
    found = _KIND_OF.get(bare)
    if found is None:
        return ''
    if found != kind:
        return f'{name} of MMSegmentation does not fit here: its kind is {found}, expected {kind}'
    names = sorted(here)
    if any(word in bare for word in _LOGBOOKS):
        names = [each for each in names if any(word in each for word in _LOGBOOKS)]
    listed = ', '.join(names[:_MAX_LISTED]) or 'none'
    if len(names) > _MAX_LISTED:
        listed += f' and {len(names) - _MAX_LISTED} more (see {_DOCS})'
    return f"{name} is MMSegmentation's and is not in msseg yet; here are: {listed}"


_KEYS_OF_1X = """
    train_dataloader val_dataloader test_dataloader val_evaluator test_evaluator optim_wrapper
    param_scheduler default_scope default_hooks env_cfg visualizer vis_backends log_processor
    val_cfg tta_model data_preprocessor"""


def refuse_1x(cfg: Mapping, file: str | None) -> None:
    """Raise ValueError for a config in the language of MMSegmentation 1.x.

    Args:
        cfg: The config.
        file: Where it was read from.
    """
    found = [key for key in _KEYS_OF_1X.split() if key in cfg]
    for key, part in (('model', 'data_preprocessor'), ('train_cfg', 'type')):
        if isinstance(cfg.get(key), Mapping) and part in cfg[key]:
            found.append(f'{key}.{part}')
    if found and 'data' not in cfg:
        more = ', …' if len(found) > 3 else ''
        raise ValueError(
            f'{file or "this"} is a config of MMSegmentation 1.x ({", ".join(found[:3])}{more}), '
            'and msseg reads those of 0.x: take the config of the same name from MMSegmentation '
            f"0.30.0, or start from one in msseg's configs and see {_DOCS}"
        )
