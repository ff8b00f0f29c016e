"""Picture files that are not DICOM, to 8-bit pixels: what Pillow and OpenCV read, and GDCM."""

import contextlib
import io
import re
import struct
import zlib

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from cxrlib.errors import InputError
from cxrlib.images import depth, seen, streams

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM")
"""What Pillow may try in this process; its other readers are for no radiograph, and one runs a
program."""

FORMATS_APART = ("TIFF", "JPEG2000", "WEBP", "AVIF")
ALL = FORMATS + FORMATS_APART
STARTS_APART = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",  # TIFF
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",  # JPEG 2000
    b"RIFF",  # WebP
)  # fmt: skip

APART = 16e6
"""Bytes of a file above which it is decoded in a process of its own."""

BYTES = {"1": 3, "L": 3, "I;16": 7, "I;16B": 7}
"""Measured peak of decoding, in bytes a pixel, by Pillow's mode; colour takes 11."""

PASSES = 150e6
"""Pixels times passes of a progressive JPEG above which it is decoded apart, for its time."""

HEAD = 2**16
"""Bytes in which most JPEGs say what they are."""

READS = 500_000
"""Times that a file may be read from: a header in millions of pieces ends."""

BAND = 256
"""Rows that are converted at a time: Pillow's conversion of a whole image takes thrice as much."""

CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"eXIf", b"tRNS")
"""What of a PNG is decoded. Text, colour profiles and the rest may be packed without bounds."""

PIECE = 2**20

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples a pixel of a PNG by its kind of colour."""

PASSES_OF_PNG = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
"""Where an interlaced PNG's passes (Adam7) begin, and their steps, across and down."""

GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
PNM = rb"P([56])%b(\d+)%b(\d+)%b(\d+)(?:#[^\r\n]*)?\s" % (GAP, GAP, GAP)
"""Header of a binary PPM or PGM: its kind, width, height and white."""

COMMENTS = 1000
"""Comments that a PPM written as text may have: each takes Pillow longer than the last."""

SYCC = b"colr\1\0\0\0\0\0\x12"
"""Box of a JPEG 2000 file that says that its colours are YCbCr."""

FLOATING = (
    "has floating-point pixels, whose black and white nobody knows: save it with 8 or 16 bits"
)


def is_risky(file):
    """Returns whether a file must be decoded in a process of its own, by its format or size."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(12)
    if start.startswith(STARTS_APART) or start[4:11] == b"ftypavi" or size > APART:
        return True
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return False
    file.seek(0)
    content = file.read(HEAD)
    stream = streams.header(content)
    if stream is None or stream.is_progressive:
        content += file.read()
        stream = streams.header(content)
    if stream is None or not streams.is_plain(stream):
        return stream is not None
    if not stream.is_progressive:
        return False
    return content.count(b"\xff\xda") * stream.width * stream.height > PASSES


def header(file):
    """Reads a picture's format, and its width and height in pixels, as stored."""
    file.reads_left = READS
    file.seek(0)
    kind = seen.kind(file.read(seen.HEAD))
    file.seek(0)
    if kind == "JPEG":  # of any kind, also those that Pillow cannot decode
        stream = streams.header(file.read())
        return kind, stream.width, stream.height
    file.seek(8 if kind == "PNG" else 0)
    with _open(_checked_png(file) if kind == "PNG" else file, ALL) as image:
        return kind, *image.size


def read(file, formats, check_size, notes):
    """Decodes a file that is not DICOM.

    Args:
        file: The open file, a `decode.Bounded`.
        formats: What Pillow may try.
        check_size: Function of width, height and bytes a pixel that refuses what is too large.
        notes: List to which a line is added where the file is not read as it stands.

    Returns:
        uint8 array (height, width) or (height, width, 3), RGB.

    Raises:
        InputError: A kind that is not read; what a decoder raises of a damaged file.
    """
    file.reads_left = READS
    source = _checked(file, check_size, notes)
    if isinstance(source, np.ndarray):
        return depth.eight_bits(source, notes)
    with _open(source, formats) as image:
        _check_header(image, check_size)
        if image.format == "PNG":
            _check_rows(source)
        deep_colour = _is_deep_colour(image)
        apart = deep_colour and image.format == "TIFF" and image.tag_v2.get(284) == 2
        if deep_colour and not apart and image.mode != "CMYK":
            return _deep_colour(source, notes)
        white_is_zero = image.format == "TIFF" and image.tag_v2.get(262) == 0
        if apart:
            return _planes(image, source, formats, notes)
        if image.format in ("JPEG", "MPO"):
            streams.check_end(image, source)
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):
            pixels = depth.eight_bits(np.asarray(image), notes)
            return 255 - pixels if white_is_zero else pixels  # Pillow minds it at 8 bits only
        pixels = _in_bands(image, "L" if image.mode in ("1", "L", "LA", "La") else "RGB")
        if image.format == "JPEG2000" and image.mode == "RGB" and pixels.max() <= 128:
            return _deep_jpeg2000(pixels, source, notes)
        return _or_alpha(pixels, image, notes)


def _open(source, formats):
    """Reads an image's header."""
    source.seek(0)
    return Image.open(source, formats=formats)


def _check_header(image, check_size):
    """Refuses what its header alone tells to be too large or of no meaning."""
    if image.mode == "F":
        raise InputError(FLOATING)
    needed = 20 if _is_deep_colour(image) else BYTES.get(image.mode, 11)
    check_size(*image.size, needed + 11 * (image.format in ("JPEG2000", "WEBP", "AVIF")))


def _checked(file, check_size, notes):
    """Checks a file to its end, which decoders mind little; gives what is to be decoded."""
    file.seek(0)
    start = file.read(8)
    if start == b"\x89PNG\r\n\x1a\n":
        return _checked_png(file)
    if re.match(rb"P[1-6]", start):
        return _checked_pnm(file, check_size)
    if seen.kind(start) == "TIFF":
        _check_tiff(file)
    return _checked_jpeg(file, check_size, notes) if start[:2] == b"\xff\xd8" else file


# PNG


def _checked_png(file):
    """Checks a PNG's checksums; gives it without the parts that are not needed, if there are any.

    Pillow would refuse an image for its text or colour profile alone.
    """
    needed, dropped, kind = [(0, 8)], False, b""
    while kind != b"IEND":
        start = file.tell()
        length, kind = struct.unpack(">I4s", file.read(8))
        check, left = zlib.crc32(kind), length
        while left and (piece := file.read(min(left, PIECE))):
            check, left = zlib.crc32(piece, check), left - len(piece)
        if left or file.read(4) != check.to_bytes(4):
            raise ValueError("a part is missing or damaged")
        if kind in CHUNKS:
            needed.append((start, length + 12))
        dropped |= kind not in CHUNKS
    if not dropped:
        return file
    kept = io.BytesIO()
    for start, length in needed:
        file.seek(start)
        kept.write(file.read(length))
    return kept


def _check_rows(source):
    """Refuses a PNG whose data end before its last row: decoders leave the rest black."""
    source.reads_left = READS
    source.seek(8)
    inflating, missing, kind = zlib.decompressobj(), 0, b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", source.read(8))
        end = source.tell() + length
        if kind == b"IHDR":
            missing = _png_bytes(*struct.unpack(">IIBBxxB", source.read(13)))
        while kind == b"IDAT" and missing > 0 and (left := end - source.tell()):
            missing -= _inflated_bytes(inflating, source.read(min(left, PIECE)), missing)
        source.seek(end + 4)
    if missing:
        raise InputError(
            f"is a PNG that is cut short ({missing} bytes of its pixels are missing): {seen.AGAIN}"
        )


def _png_bytes(width, height, bits, colour, interlaced):
    """Returns how many bytes a PNG's pixels are before they are deflated, by its header."""
    passes = PASSES_OF_PNG if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    # A byte before each row says how it is filtered.
    return sum(
        rows * (1 + -(-columns * bits * SAMPLES[colour] // 8))
        for columns, rows in sizes
        if columns > 0
    )


def _inflated_bytes(inflating, content, most):
    """Returns how many bytes a piece of deflated data holds, up to a number; keeps none of them."""
    found = 0
    while content and found < most and not inflating.eof:
        found += len(inflating.decompress(content, min(most - found, PIECE)))
        content = inflating.unconsumed_tail
    return found


# PPM and PGM


def _checked_pnm(file, check_size):
    """Decodes a binary PPM or PGM, which Pillow reads sample by sample; bounds the others."""
    file.seek(0)
    start = file.read(HEAD)
    header = re.match(PNM, start)
    if header is None:
        if start[1:2] in b"123" and (start + file.read()).count(b"#") > COMMENTS:
            raise InputError("has more comments than any radiograph (a PPM): save it anew")
        return file
    kind, width, height, top = map(int, header.groups())
    if not 0 < top < 2**16:
        raise ValueError("no white")
    samples, deep = 3 if kind == 6 else 1, top > 255
    check_size(width, height, (20 if deep else 11) if samples == 3 else 7 if deep else 3)
    file.seek(header.end())
    count = width * height * samples
    content = file.read(count * (1 + deep))
    # A part that is missing is an error here, too.
    stored = np.frombuffer(content, ">u2" if deep else np.uint8, count).reshape(height, -1)
    pixels, white = stored.astype(np.uint16 if deep else np.uint8), 65535 if deep else 255
    if top < white:
        table = np.rint(np.arange(white + 1) / top * white).clip(0, white).astype(pixels.dtype)
        for row in pixels:
            row[:] = table[row]
    return pixels.reshape(height, width, 3) if samples == 3 else pixels


# JPEG


def _checked_jpeg(file, check_size, notes):
    """Checks that a JPEG is whole; gives what is to be decoded, or pixels that Pillow cannot."""
    file.seek(0)
    content = file.read()
    stream = streams.header(content)
    if stream is None:
        raise ValueError("no frame")
    if not streams.is_plain(stream):
        check_size(stream.width, stream.height, 11 * stream.components)
        exif = _exif(content)  # which GDCM's decoder of JPEG-LS takes for damage
        return _turned(streams.decoded(content.replace(exif, b"", 1), stream), exif)
    check_size(stream.width, stream.height, 3 if stream.components == 1 else 11)
    whole = streams.whole_jpeg(content, notes)
    return file if whole is content else io.BytesIO(whole)


def _exif(content):
    """Returns a JPEG's segment of EXIF data, b"" where it has none."""
    for marker, body, end in streams.segments(content):
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            return content[end - len(body) - 4 : end]
    return b""


def _turned(pixels, segment):
    """Turns pixels as the segment of EXIF data says."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # damaged, and no part of the picture
        exif.load(segment[4:])
    turn = exif.get(ExifTags.Base.Orientation)
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if turn in (2, 3, 6, 7) else pixels


# TIFF


def _check_tiff(file):
    """Refuses a TIFF that Pillow does not know, or takes for another: it says neither."""
    file.seek(0)
    head = file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8 if 43 in head[2:4] else 0))
    file.seek(tags.next)
    tags.load(file)
    bits, kinds, compression = tags.get(258, (1,)), tags.get(339, (1,)), tags.get(259, 1)
    if 3 in kinds:
        raise InputError(FLOATING)
    if 2 in kinds and max(bits) <= 8:
        raise InputError("has pixels below 0: save it with 8 or 16 bits, without a sign")
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise InputError(
            f"is a TIFF whose compression (number {compression}) no decoder here reads: save it"
            " uncompressed"
        )
    try:
        _open(file, ["TIFF"])
    except UnidentifiedImageError:
        raise InputError(
            f"is a TIFF of {len(bits)} x {max(bits)} bits a pixel, which no decoder here reads:"
            " save it in grey with 8 or 16"
        ) from None


# Colour


def _is_deep_colour(image):
    """Returns whether an image has colour of 16 bits a channel, from how its pixels are packed.

    How Pillow packs the planes of a TIFF does not tell their depth, and is wrong for 16 bits.
    """
    if image.mode.startswith("I"):
        return False
    return ";16" in str(image.tile) or (image.format == "TIFF" and 16 in image.tag_v2.get(258, ()))


def _deep_colour(source, notes):
    """Decodes colour of 16 bits a channel, of which Pillow would keep the upper eight."""
    source.seek(0)
    content = np.frombuffer(source.read(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    pixels = cv2.cvtColor(depth.eight_bits(image, notes), cv2.COLOR_BGR2RGB)
    if not depth.is_flat(pixels):
        return pixels
    alpha = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if alpha.ndim < 3 or alpha.shape[2] != 4:
        return pixels
    return _alpha_instead(pixels, depth.eight_bits(alpha[..., 3], notes), notes)


def _deep_jpeg2000(pixels, source, notes):
    """Decodes JPEG 2000 of colour whose upper bits, which Pillow keeps, are not all in use.

    Args:
        pixels: What Pillow makes of it, which is returned where there are no deeper ones.
        source: The open file.
        notes: List to which a line is added where the pixels are not shown as they stand.
    """
    source.seek(0)
    content = source.read()
    stream = streams.header(content)
    if stream.precision <= 8 or stream.components != 3 or SYCC in content[:HEAD]:
        return pixels
    return depth.eight_bits(streams.decoded(content, stream), notes)


def _planes(image, source, formats, notes):
    """Decodes a TIFF of 16 bits whose colours lie apart: OpenCV takes the planes for one another.

    Each plane is described to Pillow as a grey TIFF of its own, in the same bytes.
    """
    described = dict(image.tag_v2)
    samples = described[277]
    if samples > 1 and described.get(262) not in (0, 1, 2):
        raise InputError(
            "is a TIFF of 16 bits whose colours lie apart and are not RGB, which no decoder here "
            "reads: save it in grey or RGB"
        )
    source.seek(0)
    content, planes = source.read(), []
    strips = 324 if 324 in described else 273  # tiles or strips: where they lie, and their bytes
    for k in range(3 if image.mode.startswith("RGB") else 1):
        entries = TiffImagePlugin.ImageFileDirectory_v2(prefix=image.tag_v2.prefix)
        for tag in (256, 257, 259, 274, 278, 317, 322, 323):
            if tag in described:
                entries[tag] = described[tag]
        entries[258], entries[262], entries[277], entries[284] = 16, 1, 1, 1
        for tag in (strips, strips + (6 if strips == 273 else 1)):
            a_plane = len(described[tag]) // samples
            entries[tag] = described[tag][k * a_plane : (k + 1) * a_plane]
        head = content[:2] + struct.pack(">HI" if content[:2] == b"MM" else "<HI", 42, 8)
        if strips == 324:  # Pillow moves strips by what it writes before them, but not tiles
            moved = 8 + len(entries.tobytes(8))
            entries[strips] = tuple(at + moved for at in entries[strips])
        plane = io.BytesIO(head + entries.tobytes(8) + content)
        with _open(plane, formats) as grey:
            ImageOps.exif_transpose(grey, in_place=True)
            planes.append(np.asarray(grey))
    pixels = depth.eight_bits(np.dstack(planes), notes)
    return pixels if len(planes) == 3 else pixels[..., 0]


def _in_bands(image, mode):
    """Converts a Pillow image to an array, some rows at a time."""
    width, height = image.size
    pixels = np.empty((height, width) if mode == "L" else (height, width, 3), np.uint8)
    for top in range(0, height, BAND):
        band = image.crop((0, top, width, min(top + BAND, height)))
        pixels[top : top + BAND] = np.asarray(band.convert(mode))
    return pixels


def _or_alpha(pixels, image, notes):
    """Returns the pixels, or what is transparent where the picture is in that alone."""
    if not depth.is_flat(pixels) or not image.has_transparency_data:
        return pixels
    alpha = image if "A" in image.getbands() else image.convert("RGBA")
    return _alpha_instead(pixels, np.asarray(alpha.getchannel("A")), notes)


def _alpha_instead(pixels, alpha, notes):
    if depth.is_flat(alpha):
        return pixels
    notes.append("shows nothing but its transparency (alpha), which was read as the picture")
    return alpha
