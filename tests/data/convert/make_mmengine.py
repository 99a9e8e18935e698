"""Write mmengine.pth; needs torch 2.13.0 and mmengine 0.10.7, which msseg does not."""

from collections import OrderedDict
from pathlib import Path

import torch
from mmengine.logging import MessageHub

hub = MessageHub.get_instance('x')
hub.update_scalar('train/loss', 0.5)
hub.update_scalar('train/lr', torch.tensor(0.1))
hub.update_info_dict({'iter': 4, 'cfg': 'text', 'loop_stage': 'train'})
weights = OrderedDict(a=torch.ones(3))
weights._metadata = OrderedDict()
layer = torch.nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
of_data = dict(
    classes=('a', 'b'), palette=[[0, 0, 0], [1, 2, 3]], label_map=None, reduce_zero_label=False
)
meta = dict(
    epoch=0, iter=4, seed=3, cfg="default_scope='mmseg'", dataset_meta=of_data, hook_msgs={},
    mmengine_version='0.10.7', time='x', experiment_name='y',
)  # fmt: skip
state = dict(
    meta=meta,
    state_dict=weights,
    message_hub=hub.state_dict(),
    optimizer=optimizer.state_dict(),
    param_schedulers=[dict(last_step=4, base_values=[0.1])],
)
torch.save(state, Path(__file__).parent / 'mmengine.pth')
