"""Losses: logits and labels to a number."""

from msseg.models.losses.boundary_loss import BoundaryLoss
from msseg.models.losses.common import BaseLoss, reduce_loss
from msseg.models.losses.cross_entropy_loss import CrossEntropyLoss
from msseg.models.losses.dice_loss import DiceLoss
from msseg.models.losses.focal_loss import FocalLoss
from msseg.models.losses.image_dice_loss import ImageDiceLoss
from msseg.models.losses.lovasz_loss import LovaszLoss
from msseg.models.losses.ohem_cross_entropy import OhemCrossEntropy
from msseg.models.losses.rmi_loss import RMILoss
from msseg.models.losses.tversky_loss import TverskyLoss
