"""Necks: feature maps to feature maps. None is built in; register your own in ``NECKS``."""
