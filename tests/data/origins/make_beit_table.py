"""Make beit_table.npz: a table of biases that MMSegmentation 0.30 resizes, with scipy below 1.14.

Run it as `python make_beit_table.py`.
"""

from pathlib import Path

import numpy as np
import torch
from mmseg.models.backbones import BEiT

HERE = Path(__file__).resolve().parent


def main():
    """Write the tables before and after, from a map of 4x4 to maps of 7x7 and 3x3."""
    table = np.random.RandomState(5).randn(7 * 7 + 3, 2).astype(np.float32)
    arrays = {'table': table}
    for side in (3, 7):
        model = BEiT(img_size=8 * side, patch_size=8, embed_dims=8, num_layers=1, num_heads=2)
        name = 'layers.0.attn.relative_position_bias_table'
        state = model.resize_rel_pos_embed({name: torch.from_numpy(table)})
        arrays[f'to_{side}'] = state[name].numpy()
    np.savez_compressed(HERE / 'beit_table.npz', **arrays)


if __name__ == '__main__':
    main()
