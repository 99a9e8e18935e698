"""As 40k, for 20,000 iterations."""

_base_ = './schedule_40k.py'
runner = dict(max_iters=20000)
checkpoint_config = dict(interval=2000)
evaluation = dict(interval=2000)
