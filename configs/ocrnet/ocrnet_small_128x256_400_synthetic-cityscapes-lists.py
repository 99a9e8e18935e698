"""A small OCRNet on synthetic streets, through train.lst and val.lst as the model zoo reads them.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/convert_datasets/synthetic_cityscapes.py --out data/synthetic_cityscapes
    python tools/train.py configs/ocrnet/ocrnet_small_128x256_400_synthetic-cityscapes-lists.py
Hardware: CPU, 2 cores.
Expected: as ocrnet_small_128x256_400_synthetic-cityscapes.py; the labels are the same.
"""

_base_ = './ocrnet_small_128x256_400_synthetic-cityscapes.py'
data = dict(
    train=dict(img_dir=None, ann_dir=None, split='train.lst'),
    val=dict(img_dir=None, ann_dir=None, split='val.lst'),
    test=dict(img_dir=None, ann_dir=None, split='val.lst'),
)
