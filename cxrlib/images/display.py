"""What a DICOM's stored values show: the standard's own way, where the header can be believed.

PS3.3 C.11.1 says what stored values measure (modality), and C.11.2 how they are shown (VOI).
pydicom's `apply_modality_lut` and `apply_voi_lut` follow it for a header that is
right in every word. They are not used here, because of what radiographs really hold: tables of 8
bits packed in words (an error) or of fewer bits than declared (nearly black); a first mapped value
of the wrong sign (all one grey); an intercept without a slope (passed over); a negative slope
(windowed upside down); a window narrower than 1, not a number or with a decimal comma (an error).
"""

import io
import struct

import numpy as np
from pydicom.filereader import read_sequence
from pydicom.pixels import apply_color_lut

from cxrlib.errors import InputError
from cxrlib.images import depth
from cxrlib.images.bounded import READS, Bounded


def coloured(pixels, layout):
    """Shows colours of any depth."""
    if pixels.dtype == np.uint8 and layout.stored == 8:
        return pixels
    indices = pixels.view(f"u{pixels.itemsize}")
    values = layout.values(np.arange(256**pixels.itemsize, dtype=indices.dtype))
    full = layout.stored == layout.allocated  # nobody said how many of them are in use
    white = depth.white(int(indices.max())) if full else 2**layout.stored - 1
    return depth.look_up(np.clip(values / white, 0, 1), indices)


def painted(pixels, layout, frame, notes):
    """Shows pixels through their palette."""
    indices = pixels.view(f"u{pixels.itemsize}")
    values = layout.values(np.arange(256**pixels.itemsize, dtype=indices.dtype))
    if "SegmentedRedPaletteColorLookupTableData" in frame:
        painted = apply_color_lut(values[None], frame)[0].T
    else:
        # pydicom's takes the first colour's descriptor for all, and eight bits for larger indices.
        painted = [_palette(colour, values, frame) for colour in ("Red", "Green", "Blue")]
    white = depth.white(max(int(shades.max()) for shades in painted))
    return np.dstack([depth.look_up(shades / white, indices) for shades in painted])


def _palette(colour, values, frame):
    """Looks values up in one colour's palette."""
    name = f"{colour}PaletteColorLookupTable"
    table = _table(frame, f"{name}Descriptor", f"{name}Data", values, frame.original_encoding[1])
    if table is None:
        raise InputError("is a DICOM whose palette is missing or empty: save it anew in grey")
    return table[0]


def shown(pixels, layout, frame, inverted, notes):
    """Shows stored values of one sample as a viewer does: through the file's own first window.

    Every value that can be stored is shown once, in a table, and the pixels are looked up in it:
    a tenth of the memory of showing each pixel.

    Args:
        pixels: Whole numbers (height, width) of 8 or 16 bits.
        layout: Which of their bits count.
        frame: The dataset that says what they mean.
        inverted: Whether the smallest value is white.
        notes: List to which a line is added where a window is set aside.

    Returns:
        uint8 array (height, width).
    """
    indices = pixels.view(f"u{pixels.itemsize}")
    container = np.arange(256**pixels.itemsize, dtype=indices.dtype)
    stored = layout.values(container)
    padding = _padding(container, stored, layout, frame)
    values = _measured(stored, frame, notes)
    ignored = np.stack([padding[row] for row in indices]) if padding.any() else None

    def show(shares):
        shares = np.clip(shares, 0, 1)
        return depth.look_up(np.where(padding, 0, 1 - shares if inverted else shares), indices)

    windows = _windows(values, frame, notes)
    for window in windows:
        if not depth.is_flat(image := show(window), ignored):
            return image
    there = np.zeros(stored.shape, bool)
    for row in indices:
        there[row] = True
    there_are = values[there & ~padding if (there & ~padding).any() else there]
    full = show((values - there_are.min()) / (np.ptp(there_are) or 1))
    if windows:
        if depth.is_flat(full, ignored):
            return image
        notes.append(
            "shows nothing through its own window (a DICOM): read from its darkest to its "
            "brightest value"
        )
    return full


def _padding(container, stored, layout, frame):
    """Returns which stored values mean that there is no pixel.

    The element's sign is often not the pixels', and its value may lie beyond the stored bits. It
    has 16 bits: in pixels of eight, a value that none of them can have is no padding.
    """
    found = [words(frame, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if found[0] is None:
        return np.zeros(stored.shape, bool)
    ends = np.array([found[0][0], (found[1] or found[0])[0]], np.uint16)
    low, high = sorted(ends.view("i2" if layout.signed else "u2").tolist())
    return (low <= stored) & (stored <= high) | (container == found[0][0])


def _measured(stored, frame, notes):
    """Turns stored values into what they measure (the modality transformation)."""
    for item in _items(frame, "ModalityLUTSequence"):
        table = _table(item, "LUTDescriptor", "LUTData", stored, frame.original_encoding[1])
        if table is not None:
            return table[0]
    slope, intercept = (_numbers(frame, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if None in slope + intercept or slope[:1] == [0]:
        notes.append("has a rescale slope or intercept of no meaning (a DICOM): passed over")
    return stored * ((slope or [1])[0] or 1) + ((intercept or [0])[0] or 0)


def _windows(values, frame, notes):
    """Turns measured values into shares of white by each of the file's own windows, tables first.

    A window's three shapes are those of the DICOM standard, PS3.3 C.11.2.
    """
    windows = []
    for item in _items(frame, "VOILUTSequence"):
        table = _table(item, "LUTDescriptor", "LUTData", values, frame.original_encoding[1])
        if table is not None:
            shown, black, white = table
            windows.append((shown - black) / ((white - black) or 1))
    centres, widths = (_numbers(frame, name) for name in ("WindowCenter", "WindowWidth"))
    pairs = [pair for pair in zip(centres, widths) if None not in pair and pair[1] > 0]
    if (centres or widths) and not pairs:
        notes.append("has a window of no meaning (a DICOM): passed over")  # NaN, say, or no width
    shape = str(frame.get("VOILUTFunction") or "LINEAR").strip().upper()
    return windows + [_window(values, centre, width, shape) for centre, width in pairs]


def _window(values, centre, width, shape):
    """Turns measured values into shares of white by one window."""
    if shape == "SIGMOID":
        return 0.5 + 0.5 * np.tanh(2 * (values - centre) / width)
    if shape == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width <= 1:
        return (values > centre - 0.5).astype(float)
    return (values - centre + 0.5) / (width - 1) + 0.5


def _table(dataset, descriptor, data, values, little):
    """Looks values up in a DICOM table.

    Args:
        dataset: What holds the table.
        descriptor, data: The names of its elements.
        values: Whole numbers, or floats, that are rounded.
        little: Whether the file's words are little-endian.

    Returns:
        What the table holds for each value, and the table's black and white; None without a table.
    """
    held, described = dataset.get_item(data), words(dataset, descriptor, little)
    if held is None or not held.value or described is None or len(described) < 3:
        return None
    (count, first, bits), content = described[:3], bytes(held.value)
    count = count or 2**16
    # How wide an entry is follows from the data's length: descriptors of 8 bits stand before words,
    # and those of 16 before bytes.
    if len(content) < 2 * count and (len(content) in (count, count + 1) or bits <= 8):
        entries = np.frombuffer(content, np.uint8)
        if not little and held.VR != "OB":  # two a word, the first in its lower byte
            entries = entries[: len(entries) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    else:
        entries = np.frombuffer(content[: len(content) // 2 * 2], "<u2" if little else ">u2")
    entries = entries[:count].astype(np.int32)
    if not len(entries):
        return None
    low, high = float(values.min()), float(values.max())
    if first >= 2**15:  # below zero where values are (C.11.1.1), unless that maps far fewer of them
        above, below = (min(high, at + count) - max(low, at) for at in (first, first - 2**16))
        first -= 2**16 * (2 * below > above if low < 0 else below > 2 * max(above, 0))
    indices = np.clip(np.rint(values - first), 0, len(entries) - 1).astype(int)
    # Many tables declare 16 bits and hold 12: white is then what they reach.
    top, declared = int(entries.max()), 2 ** min(bits, 16) - 1
    full = declared // 2 < top <= declared
    return entries[indices], 0 if full else int(entries.min()), declared if full else top


def _items(frame, name):
    """Reads a sequence's items, within bounds: pydicom parses one of a given length on demand."""
    found = frame.get_item(name)
    if found is None or not found.value:
        return ()
    if not isinstance(found.value, bytes):
        return found.value
    file = Bounded(io.BytesIO(found.value))
    file.reads_left = READS
    implicit, little = frame.original_encoding
    return read_sequence(file, implicit, little, len(found.value), "iso8859")


def words(dataset, name, little=None):
    """Returns an element's value as unsigned words, whatever its sign is said to be, or None."""
    found = dataset.get_item(name)
    if found is None or not found.value or len(found.value) < 2:
        return None
    little = found.is_little_endian if little is None else little
    content = bytes(found.value)
    return struct.unpack(
        f"{'<' if little else '>'}{len(content) // 2}H", content[: len(content) // 2 * 2]
    )


def _numbers(dataset, name):
    """Returns an element's numbers, None for each that is none; [] where it is empty or missing.

    Decimal commas are read, which pydicom does not.
    """
    found = dataset.get_item(name)
    if found is None or not found.value:
        return []
    if not isinstance(found.value, bytes) or found.VR in ("FD", "FL", "US", "SS", "UL", "SL"):
        return np.atleast_1d(dataset[name].value).astype(float).tolist()
    texts = found.value.decode("latin-1").strip(" \0").split("\\")
    return [_number(text) for text in texts] if any(texts) else []


def _number(text):
    """Returns the number that a text means, or None."""
    try:
        number = float(text.strip(" \0").replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
