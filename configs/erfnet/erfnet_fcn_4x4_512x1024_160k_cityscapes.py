"""ERFNet, Cityscapes, crops of 512x1024, 160,000 iterations.

Paper: ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation,
    http://www.robesafe.uah.es/personal/eduardo.romera/pdfs/Romera17tits.pdf
Command: python tools/train.py configs/erfnet/erfnet_fcn_4x4_512x1024_160k_cityscapes.py
Hardware: 4 devices with 4 images each; upstream used 6.04 GB a card.
Expected: mIoU 72.50 on the validation set, 74.75 with six scales and flip. That is what
    MMSegmentation 0.30 reports for the same settings in PyTorch; not measured here.
"""

_base_ = [
    '../_base_/models/erfnet_fcn.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_160k.py',
]
data = dict(samples_per_gpu=4, workers_per_gpu=4)
