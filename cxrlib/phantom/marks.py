"""Marks: letters, ticks and words that someone put on the image, never over the lungs."""

from dataclasses import dataclass, replace
from numbers import Real

import cv2
import numpy as np

from cxrlib.errors import InputError

MARKS = ("none", "R", "L", "ticks", "text")
"""The names of marks that a phantom can carry."""

_WORDS = ("PORTABLE AP", "SUPINE 12:40", "AP ERECT", "CHEST PA 02", "BEDSIDE 07")
_SIZES = {"R": 0.08, "L": 0.08, "text": 0.04}  # usual heights of letters
_SPACING = 0.04  # of ticks
_LARGEST = 0.5


@dataclass(frozen=True)
class Mark:
    """A mark and where it is. A None is left to chance; the marks of a `Phantom` have none.

    Attributes:
        name: "R", "L", "ticks" or "text".
        x: Of its middle, as a fraction of the image from the left, 0 to 1.
        y: Of its middle, from the top.
        size: How high its letters are, or how far its ticks stand apart, as a fraction of the
            image: above 0, at most 0.5.
        brightness: The grey value it is printed in, 0 to 255.
        words: What a text says; None in other marks.
    """

    name: str
    x: float | None = None
    y: float | None = None
    size: float | None = None
    brightness: float = 250.0
    words: str | None = None

    def __post_init__(self):
        """Refuses what cannot be drawn.

        Raises:
            InputError: By the attribute's name.
        """
        if self.name not in MARKS[1:]:
            raise InputError(f"mark {self.name!r}: expected one of {', '.join(MARKS)}")
        ranges = {"x": (0, 1), "y": (0, 1), "size": (0.01, _LARGEST), "brightness": (0, 255)}
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            chance = value is None and name != "brightness"
            if not chance and not (isinstance(value, Real) and least <= value <= most):
                expected = f"expected a number from {least} to {most}"
                raise InputError(f"{name} of mark {self.name} {value!r}: {expected}")
        unsaid = self.name != "text" or not str(self.words).strip()
        if self.words is not None and (unsaid or not str(self.words).isprintable()):
            raise InputError(f"words of mark {self.name} {self.words!r}: expected a text's words")


def draw(mark, size, rng):
    """Draws a mark.

    Args:
        mark: A `Mark`.
        size: Pixels a side of the image.
        rng: The radiograph's generator, in the same state for every mark.

    Returns:
        The share of each pixel that the mark covers, float32 (size, size); the mark as placed.

    Raises:
        InputError: It is wider than the image.
    """
    over = max(1, -(-448 // size))  # drawn larger and averaged down, as organs are
    side = size * over
    margin, drop, scale = rng.uniform(0.025, 0.05), rng.uniform(0.03, 0.10), rng.uniform(0.9, 1.15)
    right = bool(rng.random() < 0.5)
    if mark.name == "ticks":
        begin, number = rng.uniform(0.15, 0.3), int(rng.integers(13, 18))
        mark = replace(mark, size=mark.size or _SPACING)
        canvas = _ticks(side, mark.size, begin, number, right)
    else:
        words = mark.name if mark.name != "text" else mark.words or str(rng.choice(_WORDS))
        mark = replace(mark, size=mark.size or _SIZES[mark.name] * scale)
        top = drop if mark.name != "text" else margin
        right = right if mark.name == "text" else mark.name == "L"  # by the patient's own side
        canvas = _letters(side, mark, words, right, margin, top)
        mark = replace(mark, words=words if mark.name == "text" else None)
    canvas, x, y = _moved(canvas, mark.x, mark.y)
    canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    lead = canvas.astype(np.float32) / 255
    lead = np.where(lead > 0.25 * lead.max(), lead, 0)  # the rest is too faint to see
    return lead, replace(mark, x=x, y=y)


def paste(image, mark, rng):
    """Pastes a mark on any image.

    Args:
        image: uint8 array (size, size, 3).
        mark: A `Mark`.
        rng: A generator.

    Returns:
        uint8 array of the same shape; no other pixel changes.
    """
    cover, placed = draw(mark, len(image), rng)
    pasted = image + (placed.brightness - image.astype(np.float32)) * cover[..., None]
    return np.rint(pasted).astype(np.uint8)


def _ticks(side, spacing, begin, number, right):
    """Draws a ruler along an edge, every fifth tick longer."""
    canvas, unit = np.zeros((side, side), np.uint8), spacing / _SPACING
    for i in range(number):
        long = 0.036 if i % 5 == 0 else 0.024
        top = begin + spacing * i
        box = np.array([(0.010, top), (0.010 + unit * long, top + unit * 0.010)])
        box[:, 0] = 1 - box[:, 0] if right else box[:, 0]
        first, last = np.rint(box * side).astype(int).tolist()
        cv2.rectangle(canvas, first, last, 255, cv2.FILLED)
    return canvas


def _letters(side, mark, words, right, margin, top):
    """Writes words in an upper corner; margin and top are fractions of the canvas."""
    large = mark.name != "text"
    font = cv2.FONT_HERSHEY_DUPLEX if large else cv2.FONT_HERSHEY_SIMPLEX
    scale = mark.size * side / cv2.getTextSize(words, font, 1, 1)[0][1]
    thick = max(1, round(1.5 * scale))
    width = cv2.getTextSize(words, font, scale, thick)[0][0]
    if width > side:
        raise InputError(f"mark {words!r} of size {mark.size:.2f}: wider than the image")
    start = side - round(margin * side) - width if right else round(margin * side)
    canvas = np.zeros((side, side), np.uint8)
    corner = max(0, start), round((top + mark.size) * side)
    return cv2.putText(canvas, words, corner, font, scale, 255, thick, cv2.LINE_AA)


def _moved(canvas, x, y):
    """Moves what is drawn so that its middle is at x, y; a None leaves it. Returns both."""
    side = len(canvas)
    left, top, width, height = cv2.boundingRect(canvas)
    middle = left + width / 2, top + height / 2
    wanted = [m if at is None else at * side for at, m in zip((x, y), middle)]
    shift = [round(w - m) for w, m in zip(wanted, middle)]
    if any(shift):
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
        canvas = cv2.warpAffine(canvas, matrix, (side, side), flags=cv2.INTER_NEAREST)
    return canvas, *((m + s) / side for m, s in zip(middle, shift))
