"""Backbones: image to feature maps."""

from msseg.models.backbones.beit import BEiT
from msseg.models.backbones.bisenetv1 import BiSeNetV1
from msseg.models.backbones.bisenetv2 import BiSeNetV2
from msseg.models.backbones.cgnet import CGNet
from msseg.models.backbones.convnext import ConvNeXt
from msseg.models.backbones.ddrnet import DDRNet
from msseg.models.backbones.efficientnet_lite import EfficientNetLite
from msseg.models.backbones.erfnet import ERFNet
from msseg.models.backbones.fast_scnn import FastSCNN
from msseg.models.backbones.hrnet import HRNet
from msseg.models.backbones.icnet import ICNet
from msseg.models.backbones.mae import MAE
from msseg.models.backbones.mit import MixVisionTransformer
from msseg.models.backbones.mobilenet_v2 import MobileNetV2
from msseg.models.backbones.mobilenet_v3 import MobileNetV3
from msseg.models.backbones.mscan import MSCAN
from msseg.models.backbones.pidnet import PIDNet
from msseg.models.backbones.poolformer import PoolFormer
from msseg.models.backbones.resnest import ResNeSt
from msseg.models.backbones.resnet import ResNet, ResNetV1c, ResNetV1d
from msseg.models.backbones.resnext import ResNeXt
from msseg.models.backbones.stdc import STDCContextPathNet, STDCNet
from msseg.models.backbones.swin import SwinTransformer
from msseg.models.backbones.twins import PCPVT, SVT
from msseg.models.backbones.unet import UNet
from msseg.models.backbones.vit import VisionTransformer
