"""A hash of names and shapes, the same for a model here and for PyTorch's."""

import hashlib

_LEAVES = {
    'gamma': 'weight',
    'embedding_table': 'weight',
    'w': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_variance': 'running_var',
}


def digest(shapes):
    """Return the hash of a dict of names and shapes."""
    lines = []
    for name, shape in shapes.items():
        layer, _, leaf = name.replace('.in_proj.', '.in_proj_').rpartition('.')
        lines.append(f'{layer}.{_LEAVES.get(leaf, leaf)} {list(shape)}\n')
    return hashlib.sha256(''.join(sorted(lines)).encode()).hexdigest()[:16]
