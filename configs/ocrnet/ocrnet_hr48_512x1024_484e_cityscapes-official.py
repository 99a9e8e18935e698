"""OCRNet's authors' recipe for Cityscapes (HRNet-Semantic-Segmentation): HRNet-W48, 484 epochs.

Paper: Segmentation Transformer: Object-Contextual Representations for Semantic Segmentation,
    https://arxiv.org/abs/1909.11065
Command: python tools/train.py configs/ocrnet/ocrnet_hr48_512x1024_484e_cityscapes-official.py
Hardware: 4 devices with 3 images each, as upstream.
Expected: mIoU 81.6 on the validation set. That is what its authors report for their code in
    PyTorch; not measured here.
Differences from MMSegmentation's ocrnet_hr48_512x1024_160k_cityscapes:
    - align_corners=True everywhere, also where the backbone fuses its branches
    - biases in the convolutions that open the heads; whole channels dropped (0.05) after the OCR
      head's last 1x1 convolution
    - classes weighted, the loss divided by the sum of the valid pixels' weights
    - the rate falls to 0, not to 1e-4; 484 epochs of 247 iterations with 12 images
    - scales 0.5 to 2.1 in steps of 0.1; black padding, before normalisation; no change of colours
      and no limit on a class's share of a crop
    - initialisation: deviation 0.001 in the backbone, PyTorch's own in the heads
    - tests over scales and flips (--aug-test) add up exponentials of logits, in tiles of
      1024x2048 where a scale is above 1
    - the data set's layout: train.lst and val.lst, which name labelIds files
Not as there: the rate of iteration i is that of i, there of i - 1.
"""

_base_ = [
    '../_base_/models/ocrnet_hr48_official.py',
    '../_base_/datasets/cityscapes_official.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_official.py',
]
loss = dict(avg_by_class_weight=True, class_weight={{_base_.class_weight}})
model = dict(
    decode_head={'*': dict(loss_decode=loss)},
    test_cfg=dict(mode='slide', crop_size=(1024, 2048), stride=(1024, 2048), merge='exp_logits'),
)
del loss
