"""Default colours, measured with formulas of their own: CIE 1976, CIEDE2000, Vienot 1999."""

import itertools

import numpy as np
import pytest

from msseg.datasets.palette import background_classes, default_palette

# F. Viénot, H. Brettel, J. Mollon, "Digital video colourmaps for checking the legibility of
# displays by dichromats", 1999: RGB to cones and what a missing cone is replaced with.
_CONES = np.array([
    [17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709],
])  # fmt: skip
_WITHOUT = {
    'red': np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    'green': np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
}


def lab(rgb, lacking=None):
    linear = [(v / 255 / 12.92) if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
    if lacking:
        linear = np.linalg.inv(_CONES) @ _WITHOUT[lacking] @ _CONES @ linear
        linear = np.clip(linear, 0, 1)
    r, g, b = linear
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


def delta_2000(one, two):
    """Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", 2005, steps 1 to 3."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * (1 + g), b1), np.hypot(a2 * (1 + g), b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * (1 + g))) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    light, chroma, angle = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    t = (
        1 - 0.17 * np.cos(np.radians(angle - 30)) + 0.24 * np.cos(np.radians(2 * angle))
        + 0.32 * np.cos(np.radians(3 * angle + 6)) - 0.20 * np.cos(np.radians(4 * angle - 63))
    )  # fmt: skip
    s_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    twist = -np.sin(np.radians(60 * np.exp(-(((angle - 275) / 25) ** 2))))
    twist *= 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    parts = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return np.sqrt(sum(p * p for p in parts) + twist * parts[1] * parts[2])


def smallest(colours, difference, lacking=None):
    seen = [lab(colour, lacking) for colour in colours]
    return min(difference(one, two) for one, two in itertools.combinations(seen, 2))


def distance(one, two):
    return np.linalg.norm(one - two)


def names(count):
    return [f'class {i}' for i in range(count)]


def test_the_formula_gives_published_differences():
    # pairs 1, 7 and 17 of the test data of Sharma, Wu and Dalal
    assert delta_2000((50, 2.6772, -79.7751), (50, 0, -82.7485)) == pytest.approx(2.0425, abs=1e-4)
    assert delta_2000((50, 0, 0), (50, -1, 2)) == pytest.approx(2.3669, abs=1e-4)
    assert delta_2000((50, 2.5, 0), (73, 25, -18)) == pytest.approx(27.1492, abs=1e-4)


def test_the_first_colours_can_be_told_apart_by_everybody():
    colours = default_palette(names(8))
    assert smallest(colours, distance) >= 20
    assert smallest(colours, delta_2000) >= 20
    # the seven of Okabe and Ito, which the rest may not spoil
    for lacking in ('red', 'green'):
        known = smallest(colours[:7], distance, lacking)
        assert smallest(colours, distance, lacking) >= known >= 14
        assert smallest(default_palette(names(16)), distance, lacking) >= 10


@pytest.mark.parametrize('count', [0, 1, 2, 19, 171, 1000])
def test_colours_are_of_any_number_and_stay(count):
    colours = default_palette(names(count))
    assert len(set(colours)) == len(colours) == count
    assert colours == default_palette(names(1000))[:count]
    assert all(0 <= value <= 255 and type(value) is int for c in colours for value in c)
    assert not {(0, 0, 0), (255, 255, 255)} & set(colours)


def test_more_classes_than_colours_repeat_them():
    assert len(default_palette(names(5000))) == 5000


def test_a_background_is_black_and_takes_no_colour():
    without = default_palette(names(3))
    assert default_palette(['a', '背景', 'b', 'c']) == [without[0], (0, 0, 0), *without[1:]]


def test_backgrounds_are_known_by_name():
    named = ['background', 'Background', '_background_', 'back ground', 'BG', '背景', 'Hintergrund']
    assert background_classes([*named, 'background noise', 'ground', '']) == tuple(range(7))
