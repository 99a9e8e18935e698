"""Make originals.json.gz: files of other projects, and what MMSegmentation 0.30 makes of them.

`python make_originals.py MODEL_CONVERTERS` with timm and MMSegmentation 0.30, whose converters are
in the folder MODEL_CONVERTERS. A file is its names and shapes; its numbers are made from the names.
"""

import argparse
import gzip
import hashlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import torch
from timm.models import beit, deit, swin_transformer, twins, vision_transformer

HERE = Path(__file__).resolve().parent
fill = runpy.run_path(str(HERE.parents[2] / 'msseg/checks/selftest/reference.py'))['fill']
VIT = dict(img_size=32, patch_size=8, embed_dim=8, depth=2, num_heads=2, num_classes=5)
TWINS = dict(img_size=64, embed_dims=(4, 8), num_heads=(1, 2), mlp_ratios=(2, 2), sr_ratios=(4, 2))
SWIN = dict(img_size=64, embed_dim=4, depths=(1, 2), num_heads=(1, 2), window_size=4, mlp_ratio=2)


def shapes_of(model):
    """Return a model's names and shapes."""
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def swin_of_authors():
    """Return the names of the authors' Swin Transformer: other merging, and buffers."""
    shapes = {}
    for name, shape in shapes_of(swin_transformer.SwinTransformer(**SWIN)).items():
        shapes[name.replace('layers.1.downsample', 'layers.0.downsample')] = shape
        if name.endswith('relative_position_bias_table'):
            shapes[name.replace('bias_table', 'index')] = [16, 16]
    shapes = {name.replace('head.fc.', 'head.'): shape for name, shape in shapes.items()}
    return {**shapes, 'layers.1.blocks.1.attn_mask': [4, 16, 16]}


def beit_of_authors():
    """Return the names of BEiT with its buffer."""
    model = beit.Beit(**VIT, use_rel_pos_bias=True, use_abs_pos_emb=False, init_values=0.1)
    index = {f'blocks.{i}.attn.relative_position_index': [17, 17] for i in range(2)}
    return {**shapes_of(model), **index}


def mae():
    """Return the names of MAE's pretraining."""
    shapes = shapes_of(vision_transformer.VisionTransformer(**VIT))
    shapes = {name: shape for name, shape in shapes.items() if not name.startswith('head')}
    decoder = {'mask_token': [1, 1, 4], 'decoder_pos_embed': [1, 17, 4],
               'decoder_embed.weight': [4, 8], 'decoder_blocks.0.attn.qkv.weight': [12, 4],
               'decoder_norm.bias': [4], 'decoder_pred.bias': [192]}  # fmt: skip
    return {**shapes, **decoder}


def mit():
    """Return the names of the authors' MiT: four stages of one block."""
    shapes, before = {}, 3
    for stage, (width, ratio) in enumerate(((4, 4), (8, 2), (12, 1), (16, 1)), 1):
        kernel = 7 if stage == 1 else 3
        names = {f'patch_embed{stage}.proj': (width, before, kernel, kernel),
                 f'patch_embed{stage}.norm': (width,), f'norm{stage}': (width,)}  # fmt: skip
        layers = {'norm1': (width,), 'norm2': (width,), 'attn.q': (width, width),
                  'attn.kv': (2 * width, width), 'attn.proj': (width, width),
                  'mlp.fc1': (2 * width, width), 'mlp.fc2': (width, 2 * width),
                  'mlp.dwconv.dwconv': (2 * width, 1, 3, 3)}  # fmt: skip
        if ratio > 1:
            layers |= {'attn.sr': (width, width, ratio, ratio), 'attn.norm': (width,)}
        names |= {f'block{stage}.0.{name}': shape for name, shape in layers.items()}
        for name, shape in names.items():
            shapes[f'{name}.weight'], shapes[f'{name}.bias'] = list(shape), [shape[0]]
        before = width
    return {**shapes, 'head.weight': [5, 16], 'head.bias': [5]}


def vit_of_jax():
    """Return the names of the authors' ViT, from which arrays have other axes."""
    shapes = {'cls': [1, 1, 8], 'embedding/kernel': [8, 8, 3, 8], 'embedding/bias': [8],
              'Transformer/posembed_input/pos_embedding': [1, 17, 8],
              'Transformer/encoder_norm/scale': [8], 'Transformer/encoder_norm/bias': [8],
              'head/kernel': [8, 5], 'head/bias': [5],
              'pre_logits/kernel': [8, 8], 'pre_logits/bias': [8]}  # fmt: skip
    for i in range(2):
        block = f'Transformer/encoderblock_{i}'
        for norm in ('LayerNorm_0', 'LayerNorm_2'):
            shapes |= {f'{block}/{norm}/scale': [8], f'{block}/{norm}/bias': [8]}
        attention = f'{block}/MultiHeadDotProductAttention_1'
        for name in ('query', 'key', 'value'):
            shapes |= {f'{attention}/{name}/kernel': [8, 2, 4], f'{attention}/{name}/bias': [2, 4]}
        shapes |= {f'{attention}/out/kernel': [2, 4, 8], f'{attention}/out/bias': [8]}
        for dense, (before, after) in (('Dense_0', (8, 32)), ('Dense_1', (32, 8))):
            shapes[f'{block}/MlpBlock_3/{dense}/kernel'] = [before, after]
            shapes[f'{block}/MlpBlock_3/{dense}/bias'] = [after]
    return shapes


def main():
    """Write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument('converters', type=Path)
    folder = parser.parse_args().converters
    sys.argv = sys.argv[:1]

    def converter(name, function):
        return runpy.run_path(str(folder / f'{name}2mmseg.py'))[function]

    pcpvt, svt = (argparse.Namespace(model=name) for name in ('pcpvt', 'svt'))
    convert_vit, convert_beit = converter('vit', 'convert_vit'), converter('beit', 'convert_beit')
    convert_twins = converter('twins', 'convert_twins')
    of_jax = converter('vitjax', 'vit_jax_to_torch')
    distilled = deit.VisionTransformerDistilled(**VIT)
    windows = twins.Twins(**TWINS, depths=(2, 2), wss=(4, 4))
    cases = {
        'vit': (shapes_of(vision_transformer.VisionTransformer(**VIT)), convert_vit),
        'deit': (shapes_of(distilled), convert_vit),
        'vit_jax': (vit_of_jax(), lambda state: of_jax(state, 2)),
        'mae': (mae(), convert_beit),
        'beit': (beit_of_authors(), convert_beit),
        'mit': (mit(), converter('mit', 'convert_mit')),
        'swin': (swin_of_authors(), converter('swin', 'convert_swin')),
        'twins_pcpvt': (shapes_of(twins.Twins(**TWINS, depths=(1, 2))),
                        lambda state: convert_twins(pcpvt, state)),
        'twins_svt': (shapes_of(windows), lambda state: convert_twins(svt, state)),
    }  # fmt: skip
    content = {}
    for name, (shapes, convert) in cases.items():
        arrays = {each: fill(each, tuple(shape)) for each, shape in shapes.items()}
        state = {each: torch.from_numpy(array) for each, array in arrays.items()}
        expected = {each: [list(t.shape), digest(t.numpy())] for each, t in convert(state).items()}
        content[name] = {'file': shapes, 'expected': expected}
    text = json.dumps(content, sort_keys=True).encode()
    (HERE / 'originals.json.gz').write_bytes(gzip.compress(text, mtime=0))


def digest(array):
    """Return a short digest of an array's numbers."""
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()[:16]


if __name__ == '__main__':
    main()
