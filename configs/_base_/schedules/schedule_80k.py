"""As 40k, for 80,000 iterations."""

_base_ = './schedule_40k.py'
runner = dict(max_iters=80000)
checkpoint_config = dict(interval=8000)
evaluation = dict(interval=8000)
