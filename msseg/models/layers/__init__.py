"""Layers shared by all models; the only place with workarounds for the framework."""

from msseg.models.layers.activation import ACTIVATION_LAYERS, build_activation_layer
from msseg.models.layers.context_block import ContextBlock
from msseg.models.layers.conv import (
    CONV_LAYERS,
    Conv1d,
    Conv2d,
    ConvModule,
    DepthwiseSeparableConvModule,
    build_conv_layer,
)
from msseg.models.layers.dropout import (
    DROP_LAYERS,
    CountedRandom,
    Dropout,
    Dropout2d,
    DropPath,
    build_dropout,
)
from msseg.models.layers.dynamic_conv import DynamicDepthwiseConv
from msseg.models.layers.host_ops import DescendingOrder, GramMatrix, RankedValue
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.models.layers.kernel_updator import KernelUpdator
from msseg.models.layers.non_local import DisentangledNonLocal2d, NonLocal2d
from msseg.models.layers.norm import (
    NORM_LAYERS,
    build_norm_layer,
    freeze_parameters,
    freeze_statistics,
)
from msseg.models.layers.pixelwise import ChannelSoftmax, LabelLogProb, Softplus
from msseg.models.layers.pooling import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BlockAvgPool2d,
    SameAvgPool2d,
)
from msseg.models.layers.precision import BatchProduct, FullDense, use_low_precision
from msseg.models.layers.res_block import (
    BasicBlock,
    Bottleneck,
    make_res_layer,
    recompute_without_norms,
)
from msseg.models.layers.resize import Rescale, resize, resize_nearest
from msseg.models.layers.scale import Scale
from msseg.models.layers.self_attention import GridAverages, SelfAttentionBlock
from msseg.models.layers.tokens import (
    PatchEmbed,
    fit_positions,
    resize_array,
    resize_table,
    to_map,
    to_tokens,
)
from msseg.models.layers.transformer import (
    FFN,
    TRANSFORMER_LAYERS,
    MultiheadAttention,
    TransformerEncoderLayer,
    build_transformer_layer,
    drop_path_rates,
    initialise_transformer,
)
from msseg.models.layers.upsample import UPSAMPLE_LAYERS, build_upsample_layer
