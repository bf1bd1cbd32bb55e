import dataclasses
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import get_sampling

from screening.errors import PhotoError
from screening.stages.pixels import (
    HAS_HEIC,
    MODEL_SIDE,
    WORKING_LONG_SIDE,
    DecodedPhoto,
    PhotoLimits,
    decode_photo,
    decode_working_copy,
    encode_working_copy,
    fit_long_side,
    model_input_version,
    model_pixels,
    read_header,
)
from screening.stages.refusals import ADVICE
from tests.unit.photo_files import (
    HEIC_TURNED,
    HEIC_UPRIGHT,
    P3_GAMMA,
    P3_TO_XYZ,
    display_p3_profile,
    exif,
    jpeg_that_claims,
    png_that_claims,
    quarters,
    saved,
    skin,
)

LIMITS = PhotoLimits()
FRAMES = [Image.fromarray(np.roll(quarters(), shift, axis=1)) for shift in (0, 9, 18)]
ANIMATION = {"save_all": True, "append_images": FRAMES[1:]}
needs_heic = pytest.mark.skipif(not HAS_HEIC, reason="HEIC is an extra that this environment lacks")


def decoded(photo: bytes, limits: PhotoLimits = LIMITS) -> DecodedPhoto:
    return decode_photo(photo, limits)


def reason_to_refuse(photo: bytes, limits: PhotoLimits = LIMITS) -> str:
    with pytest.raises(PhotoError) as refused:
        decode_photo(photo, limits)
    assert refused.value.reason in ADVICE, "the uploader would not learn what to do"
    return refused.value.reason


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean difference in grey levels."""
    assert found.shape == expected.shape
    return float(np.abs(found.astype(float) - expected).mean())


def outcome(photo: bytes) -> str:
    try:
        decode_photo(photo, LIMITS)
    except PhotoError as error:
        return error.reason
    return "decoded"


# What is refused, and why


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        pytest.param(b"", "empty_file", id="empty"),
        pytest.param(b"\0", "not_an_accepted_format", id="one byte"),
        pytest.param(b"\0" * 5000, "not_an_accepted_format", id="zeros"),
        pytest.param(b"Dear programme, the photos follow.\n", "not_an_accepted_format", id="text renamed .jpg"),
        pytest.param(b'<svg xmlns="x" width="9" height="9"/>', "not_an_accepted_format", id="SVG"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not_an_accepted_format", id="PDF"),
        pytest.param(b"PK\x03\x04" + bytes(60), "not_an_accepted_format", id="ZIP"),
        pytest.param(saved(FRAMES[0], "GIF"), "not_an_accepted_format", id="GIF"),
        pytest.param(saved(FRAMES[0], "GIF", **ANIMATION), "not_an_accepted_format", id="animated GIF"),
        pytest.param(saved(FRAMES[0], "BMP"), "not_an_accepted_format", id="BMP"),
        pytest.param(saved(FRAMES[0], "TIFF"), "not_an_accepted_format", id="TIFF"),
        pytest.param(saved(FRAMES[0], "AVIF"), "not_an_accepted_format", id="AVIF"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "not_an_accepted_format", id="PostScript"),
        pytest.param(saved(FRAMES[0], "PNG", **ANIMATION), "animated", id="animated PNG"),
        pytest.param(saved(FRAMES[0], "WEBP", **ANIMATION), "animated", id="animated WebP"),
        pytest.param(png_that_claims(20_000, 10_000), "too_many_pixels", id="200 MP by its header"),
        pytest.param(png_that_claims(2**31 - 1, 2**31 - 1), "too_many_pixels", id="more pixels than a number holds"),
        pytest.param(jpeg_that_claims(65_500, 65_500), "too_many_pixels", id="JPEG of 4,290 MP"),
        pytest.param(png_that_claims(0, 0), "undecodable", id="no pixels"),
        pytest.param(png_that_claims(40, 30), "truncated", id="no picture after the header"),
        pytest.param(b"\xff\xd8\xff" + bytes(5000), "undecodable", id="JPEG only at first sight"),
        pytest.param(b"RIFF\x10\0\0\0WEBPnothing at all", "undecodable", id="WebP only at first sight"),
    ],
)
def test_a_file_that_is_no_photo_is_refused_with_its_reason(photo: bytes, reason: str) -> None:
    assert reason_to_refuse(photo) == reason


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("cut", [0.03, 0.3, 0.6, 0.9])
def test_a_photo_that_is_cut_off_is_refused_as_damaged_wherever_it_ends(format_name: str, cut: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    photo = saved(noise, format_name)

    assert reason_to_refuse(photo[: int(len(photo) * cut)]) in ("truncated", "undecodable")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lost_its_second_half_is_truncated(progressive: bool) -> None:
    photo = saved(skin(), "JPEG", quality=95, progressive=progressive)

    assert reason_to_refuse(photo[: len(photo) // 2]) == "truncated"


@pytest.mark.parametrize("lost_bytes", [1, 2])
def test_a_jpeg_that_lost_only_its_end_is_truncated(lost_bytes: int) -> None:
    assert reason_to_refuse(saved(skin(), "JPEG")[:-lost_bytes]) == "truncated"


def test_a_photo_with_a_broken_stream_inside_is_undecodable() -> None:
    photo = bytearray(saved(skin(), "JPEG"))
    middle = len(photo) // 2
    photo[middle : middle + 8] = b"\xff" * 8

    assert reason_to_refuse(bytes(photo)) == "undecodable"


def test_a_photo_of_exactly_the_most_bytes_is_decoded_and_one_byte_more_is_not() -> None:
    photo = saved(quarters(), "JPEG")

    assert decoded(photo, PhotoLimits(max_bytes=len(photo))).header.format == "jpeg"
    assert reason_to_refuse(photo, PhotoLimits(max_bytes=len(photo) - 1)) == "too_many_bytes"


def test_a_photo_of_exactly_the_most_pixels_is_decoded_and_one_pixel_more_is_not() -> None:
    photo = saved(quarters(96, 64), "PNG")

    assert decoded(photo, PhotoLimits(max_pixels=96 * 64)).header.format == "png"
    assert reason_to_refuse(photo, PhotoLimits(max_pixels=96 * 64 - 1)) == "too_many_pixels"


@pytest.mark.parametrize("size", [(20_000, 10_000), (7_100, 7_100)], ids=["200 MP", "just over 50 MP"])
def test_a_bomb_is_refused_by_its_header_alone(size: tuple[int, int]) -> None:
    # There is nothing behind the header: who unpacked it would call it truncated.
    with pytest.raises(PhotoError, match="50,000,000") as refused:
        read_header(png_that_claims(*size), LIMITS)

    assert refused.value.reason == "too_many_pixels"


def test_a_refusal_says_what_was_found_and_what_was_expected() -> None:
    with pytest.raises(PhotoError, match=r"not one of JPEG, PNG, WEBP.*: the file starts with b'GIF8"):
        decoded(saved(FRAMES[0], "GIF"))
    with pytest.raises(PhotoError, match="the photo has 96 x 64 pixels; at most 1,000 are decoded"):
        decoded(saved(quarters(), "PNG"), PhotoLimits(max_pixels=1000))
    with pytest.raises(PhotoError, match="the file has 11 bytes; at most 10 are accepted"):
        decoded(b"x" * 11, PhotoLimits(max_bytes=10))


@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_whatever_raise_anything_but_a_photo_error(junk: bytes) -> None:
    photo = saved(quarters(), "PNG")
    for broken in (junk, photo[:40] + junk + photo[60:]):
        assert outcome(broken) in {"decoded", *ADVICE}


# What is accepted


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_the_header_tells_format_and_size_without_decoding(format_name: str) -> None:
    header = read_header(saved(quarters(96, 64), format_name), LIMITS)

    assert (header.format, header.width, header.height, header.mode) == (format_name.lower(), 96, 64, "RGB")


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(saved(quarters(), "JPEG", quality=95, subsampling=0), id="JPEG"),
        pytest.param(saved(quarters(), "JPEG", quality=95, subsampling=0, progressive=True), id="progressive JPEG"),
        pytest.param(saved(Image.fromarray(quarters()).convert("CMYK"), "JPEG", quality=95), id="CMYK JPEG"),
        pytest.param(saved(FRAMES[0], "MPO", quality=95, subsampling=0, **ANIMATION), id="a phone's JPEG of two"),
        pytest.param(saved(quarters(), "JPEG", quality=95, subsampling=0) + b"\0" * 99, id="JPEG with a tail"),
        pytest.param(saved(quarters(), "PNG"), id="PNG"),
        pytest.param(saved(Image.fromarray(quarters()).convert("P"), "PNG"), id="palette PNG"),
        pytest.param(saved(Image.fromarray(quarters()).convert("RGBA"), "PNG"), id="PNG with transparency"),
        pytest.param(cv2.imencode(".png", quarters()[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), id="16-bit PNG"),
        pytest.param(saved(quarters(), "WEBP", lossless=True), id="WebP"),
    ],
)
def test_a_photo_shows_the_same_in_whatever_way_it_is_stored(photo: bytes) -> None:
    assert difference(decoded(photo).pixels, quarters()) < 4


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(saved(Image.fromarray(skin()).convert("L"), "JPEG"), id="greyscale JPEG"),
        pytest.param(saved(Image.fromarray(skin()).convert("L"), "PNG"), id="greyscale PNG"),
        pytest.param(saved(Image.fromarray(skin()).convert("LA"), "PNG"), id="greyscale PNG with transparency"),
        pytest.param(
            saved(Image.fromarray(np.asarray(Image.fromarray(skin()).convert("L"), np.uint16) * 257), "PNG"),
            id="greyscale 16-bit PNG",
        ),
    ],
)
def test_a_greyscale_photo_is_decoded_to_three_equal_channels_and_marked(photo: bytes) -> None:
    grey = np.asarray(Image.fromarray(skin()).convert("L"))

    found = decoded(photo)

    assert difference(found.pixels, np.repeat(grey[..., None], 3, axis=2)) < 1.5
    assert found.is_greyscale


def test_black_and_white_is_greyscale_too() -> None:
    assert decoded(saved(Image.fromarray(skin()).convert("1"), "PNG")).is_greyscale


@pytest.mark.parametrize(("step", "is_greyscale"), [(2, True), (3, False)])
def test_a_photo_is_greyscale_up_to_the_noise_of_jpeg(step: int, is_greyscale: bool) -> None:
    almost_grey = np.full((64, 64, 3), 128, np.uint8)
    almost_grey[8, 8, 0] += step

    assert decoded(saved(almost_grey, "PNG")).is_greyscale is is_greyscale


def test_what_is_transparent_shows_white() -> None:
    see_through = np.dstack([quarters(), np.where(np.arange(96) < 48, 0, 255)[None].repeat(64, 0).astype(np.uint8)])

    pixels = decoded(saved(see_through, "PNG")).pixels

    assert (pixels[:, :48] == 255).all()
    assert (pixels[:, 48:] == quarters()[:, 48:]).all()


def test_a_transparent_colour_of_a_palette_shows_white() -> None:
    palette = Image.fromarray(quarters()).quantize(4)
    red = palette.getpixel((0, 0))

    pixels = decoded(saved(palette, "PNG", transparency=red)).pixels

    assert (pixels[:32, :48] == 255).all()
    assert difference(pixels[32:], quarters()[32:]) < 4


def test_a_phones_second_picture_is_not_the_photo() -> None:
    photo = saved(Image.fromarray(quarters()), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64))])

    assert read_header(photo, LIMITS).format == "jpeg"
    assert difference(decoded(photo).pixels, quarters()) < 6


@needs_heic
@pytest.mark.parametrize(
    ("photo", "upright"), [(HEIC_UPRIGHT, quarters()), (HEIC_TURNED, np.rot90(quarters(), -1))], ids=["level", "turned"]
)
def test_a_heic_photo_is_decoded_upright_with_its_facts(photo: bytes, upright: np.ndarray) -> None:
    found = decoded(photo)

    assert found.header.format == "heif"
    assert difference(found.pixels, upright) < 4
    assert (found.device, found.captured_at_utc) == ("Acme", datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC))


@needs_heic
@pytest.mark.parametrize("length", [13, 100, 330, 640])
def test_a_heic_photo_that_is_cut_off_is_damaged(length: int) -> None:
    assert reason_to_refuse(HEIC_UPRIGHT[:length]) in ("truncated", "undecodable")


# Size


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 30_000), (5, 3)])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_a_photo_of_any_shape_goes_all_the_way_to_the_model(size: tuple[int, int], format_name: str) -> None:
    found = decoded(saved(Image.fromarray(skin()).resize(size), format_name))

    assert min(found.pixels.shape[:2]) >= 1
    assert max(found.pixels.shape[:2]) == min(WORKING_LONG_SIDE, max(size))
    assert model_pixels(encode_working_copy(found.pixels)).shape == (MODEL_SIDE, MODEL_SIDE, 3)


@pytest.mark.parametrize("long_side", [40, 1023, 1024, 1025, 1500, 2047, 2049, 3000, 4000, 4032, 8000])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_the_working_size_is_reached_and_never_passed(long_side: int, format_name: str) -> None:
    found = decoded(saved(skin(long_side, 48), format_name))

    assert found.header.width == long_side
    if long_side <= WORKING_LONG_SIDE:
        assert found.pixels.shape[1] == long_side, "a small photo is never enlarged"
    else:
        assert 0.9 * WORKING_LONG_SIDE <= found.pixels.shape[1] <= WORKING_LONG_SIDE


def test_a_phones_photo_is_decoded_at_a_reduced_size_and_looks_as_decoded_in_full() -> None:
    sharp = skin(4000, 3000).copy()
    cv2.circle(sharp, (2100, 1400), 500, (90, 50, 40), -1)
    cv2.line(sharp, (200, 200), (3900, 2700), (40, 30, 25), 12)
    photo = simplejpeg.encode_jpeg(sharp, quality=92, colorsubsampling="420")
    in_full = cv2.resize(simplejpeg.decode_jpeg(photo, "RGB"), (1000, 750), interpolation=cv2.INTER_AREA)

    found = decoded(photo).pixels

    assert found.shape == (750, 1000, 3), "a quarter of 4,000 needs no second resize"
    assert difference(found, in_full) < 1
    assert np.percentile(np.abs(found.astype(int) - in_full), 99) < 12


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70))
def test_shrinking_keeps_the_shape_and_never_enlarges(width: int, height: int, long_side: int) -> None:
    found = fit_long_side(np.zeros((height, width, 3), np.uint8), long_side)

    assert max(found.shape[:2]) == min(long_side, max(width, height))
    scale = min(1.0, long_side / max(width, height))
    assert abs(found.shape[0] - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(found.shape[1] - max(1, width * scale)) <= 0.5 + 1e-9


def test_what_is_too_fine_for_the_working_size_becomes_its_mean_and_no_false_pattern() -> None:
    chessboard = (np.indices((1500, 2000)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)

    pixels = decoded(saved(chessboard, "PNG")).pixels

    assert pixels.shape == (768, 1024, 3)
    assert np.abs(pixels.astype(int) - 127).max() < 40
    assert np.abs(model_pixels(encode_working_copy(pixels)).astype(int) - 127).max() < 12


# Turning

# Orientation → the stored picture, given the upright one (EXIF 2.32, tag 274).
AS_STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: np.transpose(upright, (1, 0, 2)),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(np.transpose(upright, (1, 0, 2)), 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize(("format_name", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_a_photo_is_turned_upright_to_the_pixel(orientation: int, format_name: str, options: dict[str, bool]) -> None:
    stored = np.ascontiguousarray(AS_STORED[orientation](quarters()))

    found = decoded(saved(stored, format_name, exif=exif(orientation=orientation), **options))

    assert (found.pixels == quarters()).all()
    assert (found.header.height, found.header.width) == stored.shape[:2], "the header tells the size as uploaded"


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_jpeg_is_turned_upright_too(orientation: int) -> None:
    stored = np.ascontiguousarray(AS_STORED[orientation](quarters()))

    found = decoded(saved(stored, "JPEG", quality=95, subsampling=0, exif=exif(orientation=orientation)))

    assert difference(found.pixels, quarters()) < 2


def test_a_large_photo_is_turned_after_it_was_shrunk() -> None:
    stored = np.ascontiguousarray(AS_STORED[6](quarters(2000, 1000)))

    found = decoded(saved(stored, "JPEG", exif=exif(orientation=6)))

    assert found.pixels.shape == (500, 1000, 3)
    assert difference(found.pixels, quarters(1000, 500)) < 2


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    found = decoded(saved(quarters(), "PNG", exif=exif(orientation=orientation)))

    assert (found.pixels == quarters()).all()


# Colour


@pytest.mark.parametrize("format_name", ["PNG", "JPEG"])
def test_the_colours_of_a_phone_are_converted_to_srgb(format_name: str) -> None:
    colour = np.array([200, 100, 80])
    flat = np.full((64, 64, 3), colour, np.uint8)
    photo = saved(flat, format_name, icc_profile=display_p3_profile(), quality=100)
    # The same by arithmetic: sRGB's primaries adapted to D50, and its curve (IEC 61966-2-1).
    srgb_to_xyz = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    linear = np.linalg.inv(srgb_to_xyz) @ P3_TO_XYZ @ (colour / 255) ** P3_GAMMA
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)

    found = decoded(photo).pixels[32, 32]

    assert np.abs(found - expected).max() < 2
    assert found[0] - colour[0] > 10, "red of Display P3 is redder than sRGB's"


def test_colours_that_are_srgb_already_are_left_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    assert (decoded(saved(skin(), "PNG", icc_profile=srgb)).pixels == skin()).all()


@pytest.mark.parametrize("profile", [b"no profile at all", display_p3_profile()[:200]], ids=["junk", "cut off"])
@pytest.mark.parametrize(("mode", "format_name"), [("RGB", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("L", "JPEG")])
def test_a_profile_that_cannot_be_read_counts_as_none(profile: bytes, mode: str, format_name: str) -> None:
    picture = Image.fromarray(skin()).convert(mode)

    with_profile = decoded(saved(picture, format_name, icc_profile=profile))

    assert (with_profile.pixels == decoded(saved(picture, format_name)).pixels).all()


def test_a_profile_for_other_channels_counts_as_none() -> None:
    cmyk = Image.fromarray(skin()).convert("CMYK")

    with_profile = decoded(saved(cmyk, "JPEG", icc_profile=display_p3_profile()))

    assert (with_profile.pixels == decoded(saved(cmyk, "JPEG")).pixels).all()


# Capture time and device


@pytest.mark.parametrize(
    ("block", "captured_at_utc"),
    [
        pytest.param(exif(taken="2026:11:20 14:05:09"), datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC), id="no offset"),
        pytest.param(
            exif(taken="2026:11:20 14:05:09", offset="+02:00"), datetime(2026, 11, 20, 12, 5, 9, tzinfo=UTC), id="east"
        ),
        pytest.param(
            exif(taken="2026:11:20 14:05:09", offset="-03:30"), datetime(2026, 11, 20, 17, 35, 9, tzinfo=UTC), id="west"
        ),
        pytest.param(
            exif(taken="2026:11:20 14:05:09", offset="home"), datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC), id="no zone"
        ),
        pytest.param(
            exif(taken="2026:11:20 14:05:09", offset="+99:00"), datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC), id="far"
        ),
        pytest.param(
            exif(changed="2026:11:20 14:05:09"), datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC), id="the file's"
        ),
        pytest.param(
            exif(taken="2026:11:20 14:05:09", changed="2026:12:24 00:00:00"),
            datetime(2026, 11, 20, 14, 5, 9, tzinfo=UTC),
            id="taken outranks changed",
        ),
        pytest.param(exif(taken="0000:00:00 00:00:00"), None, id="a camera without a clock"),
        pytest.param(exif(taken="2026-11-20"), None, id="another notation"),
        pytest.param(exif(taken="2026:13:41 25:61:61"), None, id="no such day"),
        pytest.param(exif(), None, id="nothing said"),
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_the_capture_time_is_read_in_utc(block: bytes, captured_at_utc: datetime | None, format_name: str) -> None:
    assert decoded(saved(quarters(), format_name, exif=block)).captured_at_utc == captured_at_utc


@pytest.mark.parametrize(
    ("zone", "hour"),
    [(ZoneInfo("Europe/Berlin"), 12), (timezone(timedelta(hours=-3)), 17), (UTC, 14)],
    ids=["summer time", "west", "utc"],
)
def test_a_time_without_an_offset_is_in_the_zone_of_the_cameras(zone: timezone, hour: int) -> None:
    photo = saved(quarters(), "JPEG", exif=exif(taken="2026:07:20 14:05:09"))

    assert decode_photo(photo, LIMITS, zone).captured_at_utc == datetime(2026, 7, 20, hour, 5, 9, tzinfo=UTC)


def test_a_time_with_an_offset_is_not_in_the_zone_of_the_cameras() -> None:
    photo = saved(quarters(), "JPEG", exif=exif(taken="2026:07:20 14:05:09", offset="+00:00"))

    assert decode_photo(photo, LIMITS, ZoneInfo("Asia/Tokyo")).captured_at_utc == datetime(
        2026, 7, 20, 14, 5, 9, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("block", "device"),
    [
        (exif(make="Acme", model="One"), "Acme One"),
        (exif(make="Acme"), "Acme"),
        (exif(model="One"), "One"),
        (exif(make="Ac\nme\x1b[31m", model=" One "), "Acme[31m One"),
        (exif(make="x" * 100), "x" * 64),
        (exif(make=" ", model="\0\0"), None),
        (exif(), None),
    ],
)
def test_the_device_is_its_printable_make_and_model(block: bytes, device: str | None) -> None:
    assert decoded(saved(quarters(), "JPEG", exif=block)).device == device


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("cut", [7, 9, 12, 20, 40])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Tag data", "ignore:Truncated File")
def test_broken_metadata_is_no_reason_to_refuse_a_photo(format_name: str, cut: int) -> None:
    whole = exif(taken="2026:11:20 14:05:09", make="Acme")
    for broken in (whole[:cut], b"Exif\0\0" + b"\xff" * cut, whole[:cut] + b"\xff" * len(whole[cut:])):
        pixels = decoded(saved(quarters(), format_name, exif=broken, quality=95)).pixels
        assert difference(pixels, quarters()) < 6


# What leaves the stage


def a_telling_photo() -> bytes:
    """With all that a phone writes beside the pixels, and a person's name in it."""
    block = exif(taken="2026:11:20 14:05:09", make="Acme", model="Ada Lovelace's phone", has_place=True)
    profile = display_p3_profile()
    return saved(skin(), "JPEG", exif=block, comment=b"Ada Lovelace", icc_profile=profile, dpi=(300, 300))


def test_the_working_copy_holds_no_metadata() -> None:
    photo = a_telling_photo()
    assert b"Ada Lovelace" in photo, "else this test would show nothing"

    working_copy = encode_working_copy(decoded(photo).pixels)

    opened = Image.open(io.BytesIO(working_copy))
    assert dict(opened.getexif()) == {}
    assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for trace in (b"Ada", b"Acme", b"Exif", b"ICC_PROFILE", b"2026", b"http"):
        assert trace not in working_copy


def test_of_the_metadata_only_capture_time_and_device_are_kept() -> None:
    assert {f.name for f in dataclasses.fields(DecodedPhoto)} == {
        "pixels",
        "header",
        "captured_at_utc",
        "device",
        "is_greyscale",
    }


def test_the_working_copy_shows_what_was_decoded() -> None:
    pixels = decoded(saved(skin(), "JPEG")).pixels

    assert difference(decode_working_copy(encode_working_copy(pixels)), pixels) < 1.5


@pytest.mark.parametrize(("size", "halved"), [((512, 700), True), ((511, 700), False), ((224, 224), False)])
def test_a_working_copy_has_a_colour_for_every_pixel_that_the_model_sees(size: tuple[int, int], halved: bool) -> None:
    opened = Image.open(io.BytesIO(encode_working_copy(skin(*size))))

    assert get_sampling(opened) == (2 if halved else 0)


@pytest.mark.parametrize("working_copy", [b"", b"no JPEG", saved(skin(), "JPEG")[:2000], saved(skin(), "PNG")])
def test_a_broken_working_copy_is_an_error_of_that_photo(working_copy: bytes) -> None:
    with pytest.raises(PhotoError, match=f"working copy of {len(working_copy)} bytes") as broken:
        model_pixels(working_copy)

    assert broken.value.reason == "working_copy_broken"


@pytest.mark.parametrize("size", [(1024, 768), (300, 900), (256, 256), (100, 60)])
def test_the_model_sees_the_whole_frame_squeezed_into_a_square(size: tuple[int, int]) -> None:
    seen = model_pixels(encode_working_copy(quarters(*size)))

    assert seen.shape == (256, 256, 3)
    assert seen.dtype == np.uint8
    assert difference(seen, quarters(256, 256)) < 6
    for row, column, colour in ((4, 4, (255, 0, 0)), (4, 251, (0, 255, 0)), (251, 4, (0, 0, 255))):
        assert np.abs(seen[row, column].astype(int) - colour).max() < 12


@pytest.mark.parametrize("side", [224, 320, 600])
def test_a_release_gets_the_side_that_it_asks_for(side: int) -> None:
    seen = model_pixels(encode_working_copy(quarters(1024, 768)), side)

    assert seen.shape == (side, side, 3)
    assert difference(seen, quarters(side, side)) < 6
    assert model_input_version(side) == f"squash-{side}-area-2"


def test_the_first_release_keeps_its_pixels() -> None:
    working_copy = encode_working_copy(quarters(1024, 768))

    assert (model_pixels(working_copy) == model_pixels(working_copy, 256)).all()
    assert model_input_version() == "squash-256-area-2"


@pytest.mark.parametrize("size", [(1024, 768), (500, 400), (300, 900)])
def test_the_model_sees_means_of_pixels_and_not_some_of_them(size: tuple[int, int]) -> None:
    grain = np.random.default_rng(0).normal(0, 25, (size[1], size[0], 1))
    working_copy = encode_working_copy((skin(*size) + grain).clip(0, 255).astype(np.uint8))
    in_full = cv2.resize(decode_working_copy(working_copy), (256, 256), interpolation=cv2.INTER_AREA)

    # Picking every other pixel would be off by 7 to 17.
    assert difference(model_pixels(working_copy), in_full) < 5


def test_the_same_photo_gives_the_model_the_same_pixels_whoever_stands_beside_it() -> None:
    photos = [saved(skin(seed=seed), "JPEG", exif=exif(orientation=1 + seed % 8)) for seed in range(12)]

    def all_the_way(photo: bytes) -> bytes:
        return model_pixels(encode_working_copy(decoded(photo).pixels)).tobytes()

    alone = [all_the_way(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(all_the_way, reversed(photos)))

    assert together[::-1] == alone
    assert len(set(alone)) == len(alone)
