"""Parameter names of other projects, for each family of models; see `msseg.convert.register_names`.

A module registers the styles of a family: how a file shows that it has such names, and the rules by
which its parameters become msseg's.
"""

from msseg.models.origins import (
    convnext,
    efficientnet_lite,
    hrnet,
    huggingface,
    pyramid_transformers,
    swin,
    vision_transformers,
)
