"""As 40k, for 160,000 iterations."""

_base_ = './schedule_40k.py'
runner = dict(max_iters=160000)
checkpoint_config = dict(interval=16000)
evaluation = dict(interval=16000)
