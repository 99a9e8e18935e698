"""Logging, and where to start from."""

log_config = dict(
    interval=50,
    hooks=[
        dict(type='TextLoggerHook'),
        # dict(type='TensorboardLoggerHook'),
    ],
)
log_level = 'INFO'
load_from = None
resume_from = None
