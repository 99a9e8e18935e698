"""Cityscapes' label ids, by the names that the drawing code uses."""

from __future__ import annotations

EGO_VEHICLE = 1
STATIC = 4
ROAD = 7
SIDEWALK = 8
PARKING = 9
BUILDING = 11
WALL = 12
FENCE = 13
POLE = 17
TRAFFIC_LIGHT = 19
TRAFFIC_SIGN = 20
VEGETATION = 21
TERRAIN = 22
SKY = 23
PERSON = 24
RIDER = 25
CAR = 26
TRUCK = 27
BUS = 28
TRAIN = 31
MOTORCYCLE = 32
BICYCLE = 33

# a sprite's pixels that show what stands behind it
NOTHING = 255
