"""Make the models of Hugging Face that tests load: `python make_huggingface.py` with transformers.

Each folder gets what `save_pretrained` writes, the head's logits of a random image, and the
names that parameters have in memory.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import (
    ConvNextConfig,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SwinConfig,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

HERE = Path(__file__).parent
NAMES = {'id2label': {0: 'road', 1: 'tree', 2: 'sky'}}
STAGES = {'out_features': ['stage1', 'stage2', 'stage3', 'stage4']}


def models():
    """Yield the folder's name and the model."""
    yield (
        'segformer',
        SegformerForSemanticSegmentation(
            SegformerConfig(
                depths=[1, 2, 1, 1],
                hidden_sizes=[4, 8, 12, 16],
                num_attention_heads=[1, 2, 3, 4],
                sr_ratios=[4, 2, 1, 1],
                mlp_ratios=[2, 2, 2, 2],
                decoder_hidden_size=6,
                **NAMES,
            )
        ),
    )
    swin = SwinConfig(embed_dim=4, depths=[1, 2, 1, 1], num_heads=[1, 2, 2, 4], window_size=3,
                      mlp_ratio=2.0, **STAGES)  # fmt: skip
    convnext = ConvNextConfig(hidden_sizes=[4, 6, 8, 10], depths=[1, 1, 2, 1], **STAGES)
    for name, backbone in (('upernet_swin', swin), ('upernet_convnext', convnext)):
        config = UperNetConfig(backbone_config=backbone, hidden_size=4, pool_scales=[1, 2],
                               auxiliary_channels=4, **NAMES)  # fmt: skip
        yield name, UperNetForSemanticSegmentation(config)


def randomise(model: torch.nn.Module) -> None:
    """Give every parameter values by which its place shows in the result."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in model.state_dict().items():
        if tensor.dtype.is_floating_point:
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith('running_var') or tensor.ndim == 1 and name.endswith('weight'):
                tensor.copy_(1 + 0.3 * torch.tanh(noise))
            else:
                fan_in = tensor[0].numel() if tensor.ndim > 1 else 4
                tensor.copy_(noise / fan_in**0.5)


def main() -> None:
    """Write a folder for each model."""
    for name, model in models():
        model.eval()
        with torch.no_grad():
            randomise(model)
            image = np.random.RandomState(3).randn(1, 3, 44, 64).astype(np.float32)
            logits = []
            model.decode_head.register_forward_hook(lambda *args, kept=logits: kept.append(args[2]))
            model(torch.from_numpy(image))
        model.save_pretrained(HERE / name)
        np.save(HERE / name / 'logits.npy', logits[0].numpy())
        saved = load_file(HERE / name / 'model.safetensors')
        by_value = {tensor.numpy().tobytes(): each for each, tensor in saved.items() if tensor.ndim}
        in_memory = {
            each: by_value[tensor.numpy().tobytes()]
            for each, tensor in model.state_dict().items()
            if tensor.ndim
        }
        (HERE / name / 'names_in_memory.json').write_text(json.dumps(in_memory))


if __name__ == '__main__':
    main()
