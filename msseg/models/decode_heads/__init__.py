"""Decode heads: feature maps to logits, and logits to losses."""

from msseg.models.decode_heads.ann_head import ANNHead
from msseg.models.decode_heads.apc_head import APCHead
from msseg.models.decode_heads.aspp_head import ASPPHead
from msseg.models.decode_heads.base_decode_head import BaseCascadeDecodeHead, BaseDecodeHead
from msseg.models.decode_heads.cc_head import CCHead
from msseg.models.decode_heads.da_head import DAHead
from msseg.models.decode_heads.ddr_head import DDRHead
from msseg.models.decode_heads.dm_head import DMHead
from msseg.models.decode_heads.dpt_head import DPTHead
from msseg.models.decode_heads.ema_head import EMAHead
from msseg.models.decode_heads.enc_head import EncHead
from msseg.models.decode_heads.fcn_head import FCNHead
from msseg.models.decode_heads.fpn_head import FPNHead
from msseg.models.decode_heads.gc_head import GCHead
from msseg.models.decode_heads.ham_head import LightHamHead
from msseg.models.decode_heads.isa_head import ISAHead
from msseg.models.decode_heads.iterative_decode_head import IterativeDecodeHead
from msseg.models.decode_heads.kernel_update_head import KernelUpdateHead
from msseg.models.decode_heads.lraspp_head import LRASPPHead
from msseg.models.decode_heads.nl_head import DNLHead, NLHead
from msseg.models.decode_heads.ocr_head import OCRHead
from msseg.models.decode_heads.pid_head import PIDHead
from msseg.models.decode_heads.point_head import PointHead
from msseg.models.decode_heads.psa_head import PSAHead
from msseg.models.decode_heads.psp_head import PSPHead
from msseg.models.decode_heads.segformer_head import SegformerHead
from msseg.models.decode_heads.segmenter_mask_head import SegmenterMaskTransformerHead
from msseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPHead
from msseg.models.decode_heads.sep_fcn_head import DepthwiseSeparableFCNHead
from msseg.models.decode_heads.setr_mla_head import SETRMLAHead
from msseg.models.decode_heads.setr_up_head import SETRUPHead
from msseg.models.decode_heads.stdc_head import STDCHead
from msseg.models.decode_heads.uper_head import UPerHead
