"""Layers shared by all models; the only place with workarounds for the framework."""

from msseg.models.layers.activation import ACTIVATION_LAYERS, build_activation_layer
from msseg.models.layers.batch_product import BatchProduct
from msseg.models.layers.channel_softmax import ChannelSoftmax
from msseg.models.layers.conv import CONV_LAYERS, Conv2d, build_conv_layer
from msseg.models.layers.conv_module import ConvModule
from msseg.models.layers.descending_order import DescendingOrder
from msseg.models.layers.dropout import (
    DROP_LAYERS,
    Dropout,
    Dropout2d,
    DropPath,
    build_dropout,
)
from msseg.models.layers.gram_matrix import GramMatrix
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.models.layers.label_log_prob import LabelLogProb
from msseg.models.layers.norm import (
    NORM_LAYERS,
    build_norm_layer,
    freeze_parameters,
    freeze_statistics,
)
from msseg.models.layers.precision import use_low_precision
from msseg.models.layers.res_block import BasicBlock, Bottleneck, make_res_layer
from msseg.models.layers.resize import resize
from msseg.models.layers.softplus import Softplus
from msseg.models.layers.upsample import UPSAMPLE_LAYERS, build_upsample_layer

__all__ = [
    'ACTIVATION_LAYERS',
    'BasicBlock',
    'BatchProduct',
    'Bottleneck',
    'CONV_LAYERS',
    'ChannelSoftmax',
    'Conv2d',
    'ConvModule',
    'DROP_LAYERS',
    'DescendingOrder',
    'DropPath',
    'Dropout',
    'Dropout2d',
    'GramMatrix',
    'LabelLogProb',
    'NORM_LAYERS',
    'Softplus',
    'UPSAMPLE_LAYERS',
    'apply_init_cfg',
    'build_activation_layer',
    'build_conv_layer',
    'build_dropout',
    'build_norm_layer',
    'build_upsample_layer',
    'freeze_parameters',
    'freeze_statistics',
    'make_res_layer',
    'resize',
    'use_low_precision',
]
