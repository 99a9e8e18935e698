"""Backbones: image to feature maps."""

from msseg.models.backbones.bisenetv2 import BiSeNetV2
from msseg.models.backbones.hrnet import HRNet
from msseg.models.backbones.resnet import ResNet, ResNetV1c, ResNetV1d
from msseg.models.backbones.unet import UNet
