"""From the bytes of an upload to upright sRGB pixels, to the working copy, to the pixels that the model sees.

Training and serving both go through ``decode_photo`` → ``encode_working_copy`` → ``model_pixels``: one path, so that
the network meets in service what it met in training. The photo is decoded once, at a reduced size where JPEG allows.
"""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cached_property

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageCms, ImageOps

from screening.errors import PhotoError

try:  # HEIC decoding is an extra ("heic"): its library is LGPL, unlike everything else that the night needs.
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)
    HAS_HEIC = True
except ImportError:
    HAS_HEIC = False

WORKING_LONG_SIDE = 1024
"""Pixels; docs/decisions/0003: quality measures and the largest member are content with it."""
MODEL_SIDE = 256
"""Pixels of the square that is sent to the model server, unless a release asks for another side; every member resizes it
to its own size in its graph."""
VIEW_LONG_SIDE = 512
"""Pixels of the view in which quality is measured."""
WORKING_JPEG_QUALITY = 92
MODEL_INPUT_VERSION = f"squash-{MODEL_SIDE}-area-2"
"""Changes whenever the way from an upload to ``model_pixels`` gives other numbers; a release records it and refuses another."""

_ACCEPTED = ("JPEG", "PNG", "WEBP") + (("HEIF",) if HAS_HEIC else ())
_SRGB = ImageCms.createProfile("sRGB")
_BROKEN_PROFILE = (ImageCms.PyCMSError, OSError)
"""What Pillow raises for a profile that cannot be read (OSError) or does not fit the picture."""
# One OpenCV thread: photos are prepared side by side, and a pool inside a pool only fights for the same cores.
cv2.setNumThreads(1)


@dataclass(frozen=True)
class PhotoLimits:
    """Largest photo that is decoded. Source: docs/decisions/0003 (phones reach 50 MP and 20 MB in 2026)."""

    max_pixels: int = 50_000_000
    max_bytes: int = 50_000_000


@dataclass(frozen=True)
class PhotoHeader:
    """What can be known without decoding."""

    format: str
    width: int
    height: int
    mode: str


@dataclass(frozen=True)
class DecodedPhoto:
    """An upright sRGB photo, at working size, and the only two facts kept of its metadata.

    ``pixels`` has shape (height, width, 3), uint8; ``header`` has the size as uploaded, before turning it upright.
    """

    pixels: np.ndarray
    header: PhotoHeader
    captured_at_utc: datetime | None
    device: str | None
    is_greyscale: bool

    @cached_property
    def view(self) -> np.ndarray:
        """The pixels with a long side of at most ``VIEW_LONG_SIDE``, made once."""
        return shrink(self.pixels, VIEW_LONG_SIDE)


def read_header(photo: bytes, limits: PhotoLimits) -> PhotoHeader:
    """Read format and size, and refuse what must not be decoded.

    Raises:
        PhotoError: reason ``empty_file``, ``too_many_bytes``, ``not_an_accepted_format``, ``animated`` or ``too_many_pixels``.
    """
    _, header = _open(photo, limits)
    return header


def _open(photo: bytes, limits: PhotoLimits) -> tuple[Image.Image, PhotoHeader]:
    if not photo:
        raise PhotoError("the file is empty (0 bytes); expected a photo", "empty_file")
    if len(photo) > limits.max_bytes:
        raise PhotoError(
            f"the file has {len(photo):,} bytes; at most {limits.max_bytes:,} are accepted", "too_many_bytes"
        )
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a decompression bomb; our own limit below is lower and final.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(photo), formats=_ACCEPTED)
    except Image.DecompressionBombError as error:
        raise PhotoError(f"the header claims more than {limits.max_pixels:,} pixels", "too_many_pixels") from error
    except Exception as error:  # Pillow's plugins raise whatever a broken header makes them raise
        if _starts_as_accepted(photo):
            raise PhotoError(
                f"starts as a photo with {photo[:8]!r}, but its header is cut off or broken", "undecodable"
            ) from error
        raise PhotoError(
            f"not one of {', '.join(_ACCEPTED)}: the file starts with {photo[:8]!r}", "not_an_accepted_format"
        ) from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise PhotoError(
            f"the photo has {width} x {height} pixels; at most {limits.max_pixels:,} are decoded", "too_many_pixels"
        )
    # A phone's JPEG may carry a second picture (MPO, for depth); the first is the photo.
    name = "JPEG" if image.format == "MPO" else str(image.format)
    pictures = getattr(image, "n_frames", 1)
    if name in ("PNG", "WEBP") and pictures > 1:
        raise PhotoError(f"an animation of {pictures} pictures; expected one photo", "animated")
    return image, PhotoHeader(name.lower(), width, height, image.mode)


def _starts_as_accepted(photo: bytes) -> bool:
    """Whether the first bytes are those of an accepted format: what cannot be opened then is damaged, not another format."""
    is_webp = photo[:4] == b"RIFF" and photo[8:12] == b"WEBP"
    is_heic = HAS_HEIC and photo[4:8] == b"ftyp" and pi_heif.get_file_mimetype(photo[:12]).startswith("image/hei")
    return photo.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or is_webp or is_heic


def decode_photo(photo: bytes, limits: PhotoLimits, camera_timezone: tzinfo = UTC) -> DecodedPhoto:
    """Decode an upload once, at about the working size, upright, in sRGB, without its metadata.

    Args:
        photo: the uploaded bytes.
        limits: what is refused by its header.
        camera_timezone: zone of a capture time that comes without an offset.

    Raises:
        PhotoError: as ``read_header``, or reason ``truncated`` or ``undecodable``.
    """
    image, header = _open(photo, limits)
    try:
        captured_at_utc, device, orientation = _read_exif(image, camera_timezone)
        profile = image.info.get("icc_profile")
        if header.format == "jpeg" and image.mode in ("RGB", "L"):
            pixels = _decode_jpeg_reduced(photo, header)
        else:
            pixels = np.asarray(_to_rgb(image))
        pixels = fit_long_side(pixels, WORKING_LONG_SIDE)
        pixels = _to_srgb(pixels, profile if image.mode in ("RGB", "RGBA") else None)
        pixels = _turn_upright(pixels, orientation if header.format != "heif" else 1)
    except PhotoError:
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error … for broken files
        reason = "truncated" if _says_truncated(error) else "undecodable"
        raise PhotoError(
            f"{header.format} of {header.width} x {header.height}: {type(error).__name__}: {error}", reason
        ) from error
    return DecodedPhoto(
        pixels=np.ascontiguousarray(pixels),
        header=header,
        captured_at_utc=captured_at_utc,
        device=device,
        is_greyscale=_is_greyscale(pixels),
    )


def _says_truncated(error: Exception) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in ("truncated", "premature end", "broken data stream", "unexpected end"))


def _decode_jpeg_reduced(photo: bytes, header: PhotoHeader) -> np.ndarray:
    """Decode at the smallest eighth that still leaves nine tenths of the working size: no second resize for most phones."""
    long_side = max(header.width, header.height)
    wanted = min(1.0, 0.9 * WORKING_LONG_SIDE / long_side)
    return np.asarray(
        simplejpeg.decode_jpeg(
            photo, "RGB", min_width=int(header.width * wanted), min_height=int(header.height * wanted)
        )
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to 8-bit RGB: 16 bits are scaled, transparency is laid on white, CMYK goes through its profile."""
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image, dtype=np.float32)
        image = Image.fromarray((deep / (257.0 if deep.max(initial=0) > 255 else 1.0)).clip(0, 255).astype(np.uint8))
    if image.mode == "CMYK":
        profile = image.info.get("icc_profile")
        if profile:
            with suppress(*_BROKEN_PROFILE):
                converted = ImageCms.profileToProfile(
                    image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), _SRGB, outputMode="RGB"
                )
                if converted is not None:  # only a conversion in place returns nothing
                    return converted
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Convert from the embedded profile; an unreadable profile counts as sRGB, which is what browsers do."""
    if not profile:
        return pixels
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return pixels
        converted = ImageCms.profileToProfile(Image.fromarray(pixels), source, _SRGB, outputMode="RGB")
    except _BROKEN_PROFILE:
        return pixels
    return np.asarray(converted)


def _turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (0, 1):
        return pixels
    image = Image.fromarray(pixels)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def _read_exif(image: Image.Image, camera_timezone: tzinfo) -> tuple[datetime | None, str | None, int]:
    """Capture time, device and orientation; an EXIF block that cannot be read says nothing, and is no reason to refuse."""
    try:
        exif = image.getexif()
        return *_capture_facts(exif, camera_timezone), exif.get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, struct.error):  # what Pillow raises for a block that is no TIFF, or ends early
        return None, None, 1


def _capture_facts(exif: Image.Exif, camera_timezone: tzinfo) -> tuple[datetime | None, str | None]:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    taken = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    captured = None
    if isinstance(taken, str):
        try:
            captured = datetime.strptime(taken.strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
            zone = _parse_offset(details.get(ExifTags.Base.OffsetTimeOriginal)) or camera_timezone
            captured = captured.replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):  # "0000:00:00 00:00:00" and the like: the camera had no clock
            captured = None
    words = [exif.get(tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    # Only printable text: a device name goes into tables and pages.
    name = " ".join("".join(c for c in w if c.isprintable()).strip() for w in words if isinstance(w, str)).strip()
    return captured, name[:64] or None


def _parse_offset(text: object) -> timezone | None:
    if not isinstance(text, str) or len(text) < 6 or text[0] not in "+-":
        return None
    try:
        minutes = int(text[1:3]) * 60 + int(text[4:6])
        return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))
    except ValueError:
        return None


def _is_greyscale(pixels: np.ndarray) -> bool:
    """True when no pixel has a colour: a sample of the rows is enough, JPEG noise of two steps is allowed."""
    red, green, blue = cv2.split(np.ascontiguousarray(pixels[::8, ::8]))
    return bool(cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)).max() <= 2)


def fit_long_side(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """Shrink so that the long side is at most ``long_side`` pixels; never enlarge."""
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1.0:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def shrink(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """As ``fit_long_side``, for measuring: down to half the size by bilinear weights, in an eighth of the time."""
    height, width = pixels.shape[:2]
    scale = long_side / max(height, width)
    if scale < 0.5 or scale >= 1.0:
        return fit_long_side(pixels, long_side)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))


def encode_working_copy(pixels: np.ndarray) -> bytes:
    """Upright sRGB pixels to the JPEG that is stored: no metadata, no thumbnail, no profile."""
    # At twice the model's side, colour at half the resolution still has a value for each pixel that the model sees.
    colour = "420" if min(pixels.shape[:2]) >= 2 * MODEL_SIDE else "444"
    return bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=WORKING_JPEG_QUALITY, colorsubsampling=colour)
    )


def decode_working_copy(working_copy: bytes, min_side: int | None = None) -> np.ndarray:
    """Pixels of a working copy, shape (height, width, 3), uint8; decoded smaller where ``min_side`` allows."""
    reduced = {"min_width": min_side, "min_height": min_side} if min_side else {}
    try:
        return np.asarray(simplejpeg.decode_jpeg(working_copy, "RGB", **reduced))
    except ValueError as error:
        raise PhotoError(f"working copy of {len(working_copy)} bytes: {error}", "working_copy_broken") from error


def model_input_version(side: int = MODEL_SIDE) -> str:
    """The version of ``model_pixels`` at a side: what a release records and the night compares."""
    return MODEL_INPUT_VERSION.replace(f"-{MODEL_SIDE}-", f"-{side}-")


def model_pixels(working_copy: bytes, side: int = MODEL_SIDE) -> np.ndarray:
    """The pixels that every member of a release gets: shape (side, side, 3), uint8, RGB.

    The whole frame is squeezed into the square, so that a lesion at the rim is seen too. ``side`` is that of the
    release's ``input_shape``.

    Raises:
        PhotoError: the working copy cannot be decoded.
    """
    return squeeze(decode_working_copy(working_copy, side), side)


def squeeze(picture: np.ndarray, side: int = MODEL_SIDE) -> np.ndarray:
    """The whole frame in a square; a smaller picture is enlarged."""
    interpolation = cv2.INTER_AREA if min(picture.shape[:2]) >= side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=interpolation))
