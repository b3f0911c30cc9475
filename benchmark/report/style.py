"""How things look everywhere: their titles, colours, markers, dashes and hatches."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DATASET_TITLES: Mapping[str, str] = {
    "decathlon": "Decathlon heart",
    "acdc": "ACDC",
    "camus": "CAMUS",
}

ARCHITECTURE_TITLES: Mapping[str, str] = {
    "unet": "U-Net",
    "attention_unet": "Attention U-Net",
    "vnet": "V-Net",
    "deeplabv3": "DeepLabv3",
}

# Okabe and Ito's blue and orange with Tol's teal and wine: apart under the three colour-vision
# deficiencies (CIE76 distance at least 20 after Machado 2009), and in grey by lightness and marker.
_ARCHITECTURE_LOOKS: Mapping[str, tuple[str, str]] = {
    "unet": ("#0072B2", "o"),
    "attention_unet": ("#E69F00", "s"),
    "vnet": ("#44AA99", "^"),
    "deeplabv3": ("#882255", "D"),
}
# By marker: what tells lines and boxes apart where colour does not, as in print without it.
_Dashes = str | tuple[float, tuple[float, ...]]
_STROKES: Mapping[str, tuple[_Dashes, str]] = {
    "o": ("solid", ""),
    "s": ((0, (5, 1.4)), "/////"),
    "^": ((0, (1.2, 1.2)), "....."),
    "D": ((0, (5, 1.2, 1.2, 1.2)), "xxxxx"),
    "v": ((0, (3, 1.2)), "\\\\\\\\\\"),
    "P": ((0, (7, 1.5)), "+++++"),
    "X": ((0, (4, 1, 1, 1, 1, 1)), "|||||"),
    "<": ((0, (2, 2)), "-----"),
    ">": ((0, (9, 2)), "ooo"),
    "p": ((0, (6, 1.2, 1.2, 1.2, 1.2, 1.2)), "**"),
    "*": ((0, (1, 2.4)), "OO"),
    "h": ((0, (8, 1, 2, 1)), "/-/-"),
    "d": ((0, (3, 3)), "\\\\|\\\\|"),
    "8": ((0, (2, 1, 5, 1)), "x-x-"),
}
_OTHER_LOOKS = (
    ("#56B4E9", "v"),
    ("#CC6677", "P"),
    ("#999933", "X"),
    ("#332288", "<"),
    ("#117733", ">"),
    ("#7F7F7F", "p"),
)

# The variant of what was predicted elsewhere and only scored here; greys, so that no entry is taken
# for one of the networks that were trained under one protocol.
EXTERNAL = "external"
_EXTERNAL_LOOKS = (
    ("#3D3D3D", "*"),
    ("#8C8C8C", "h"),
    ("#636363", "d"),
    ("#B0B0B0", "8"),
)

# Structures on a grey image; warm and light, since error colours (below) are saturated.
CLASS_COLOURS: Mapping[str, str] = {
    "left_ventricle": "#FFE34D",
    "myocardium": "#6FE38F",
    "right_ventricle": "#5AB4FF",
    "left_atrium": "#FF8FC8",
}
_OTHER_CLASS_COLOURS = ("#E6A3F0", "#C9C9C9", "#B3E600", "#F0C3D0")
# Apart for every kind of colour vision (CIE76 distance at least 36 after Machado 2009).
MISSED_COLOUR = "#2B6CFF"
SPURIOUS_COLOUR = "#FF2D2D"
CONFUSED_COLOUR = "#00D5D5"
PHANTOM_COLOUR = "#B3261E"


@dataclass(frozen=True)
class Look:
    """Colour (hex) and marker of one line, box or bubble, and what serves without colour."""

    colour: str
    marker: str

    @property
    def dashes(self) -> _Dashes:
        """Style of a line."""
        return _STROKES.get(self.marker, ("solid", ""))[0]

    @property
    def hatch(self) -> str:
        """Filling of a box."""
        return _STROKES.get(self.marker, ("solid", ""))[1]


def dataset_title(name: str) -> str:
    """A dataset's name as people write it."""
    return DATASET_TITLES.get(name, words(name))


def architecture_title(name: str) -> str:
    """An architecture's name as people write it."""
    return ARCHITECTURE_TITLES.get(name, words(name))


def words(name: str) -> str:
    """A machine name as words: ``left_ventricle`` becomes ``left ventricle``."""
    return name.replace("_", " ")


def looks(variants: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Look]:
    """One look for each ``(architecture, variant)`` of a whole report.

    The colour belongs to the architecture, whatever else is in the report; variants of one
    architecture (other widths, say) get lighter tints of it. Architectures unknown here take the
    remaining colours in alphabetical order, external entries greys.
    """
    ordered = sorted(set(variants))
    external = sorted(name for name, variant in ordered if variant == EXTERNAL)
    unknown = sorted({name for name, _ in ordered} - set(_ARCHITECTURE_LOOKS) - set(external))
    by_name = dict(_ARCHITECTURE_LOOKS)
    for index, name in enumerate(external):
        by_name[name] = _EXTERNAL_LOOKS[index % len(_EXTERNAL_LOOKS)]
    count = len(_OTHER_LOOKS)
    for index, name in enumerate(unknown):
        # After all colours once, each takes the next one's marker: 36 networks are told apart.
        shifted = (index + index // count) % count
        by_name[name] = _OTHER_LOOKS[index % count][0], _OTHER_LOOKS[shifted][1]
    result = {}
    for name in sorted({name for name, _ in ordered}):
        siblings = [pair for pair in ordered if pair[0] == name]
        colour, marker = by_name[name]
        for index, pair in enumerate(siblings):
            result[pair] = Look(lighter(colour, 0.55 * index / len(siblings)), marker)
    return result


def class_colours(names: Iterable[str]) -> dict[str, str]:
    """The contour colour (hex) of each class."""
    known = list(names)
    others = sorted(set(known) - set(CLASS_COLOURS))
    return {
        name: CLASS_COLOURS.get(name)
        or _OTHER_CLASS_COLOURS[others.index(name) % len(_OTHER_CLASS_COLOURS)]
        for name in known
    }


def rgb(colour: str) -> tuple[float, float, float]:
    """A hex colour as three numbers in 0..1."""
    value = colour.lstrip("#")
    red, green, blue = (int(value[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def lighter(colour: str, amount: float) -> str:
    """A hex colour moved towards white by ``amount`` (0 leaves it, 1 is white)."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb(colour))
    parts = colorsys.hls_to_rgb(hue, lightness + (1 - lightness) * amount, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
