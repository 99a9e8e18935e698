"""Pixel samplers: which pixels a loss counts."""

from msseg.models.samplers.ohem_pixel_sampler import OHEMPixelSampler
