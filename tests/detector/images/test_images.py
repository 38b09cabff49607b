"""Every kind of picture people have, and everything that is none."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image

from descriptions.common.errors import ForgeError
from detector.data.masks import read_mask
from detector.images import load as images
from detector.images.find import NoImagesError, find_images
from detector.images.load import (
    ImageError,
    ReadOptions,
    bits_note,
    folder_bits,
    load_image,
    to_image,
    unremarkable,
)


def save(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


GRADIENT = np.linspace(0, 255, 48).astype(np.uint8).reshape(6, 8)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode: str):
    suffix = ".tif" if mode == "CMYK" else ".png"
    path = save(Image.fromarray(GRADIENT).convert("RGB").convert(mode), tmp_path / f"x{suffix}")
    loaded = load_image(path)
    assert loaded.mode == "RGB"
    assert loaded.size == (8, 6)
    if mode not in ("1", "P"):
        assert np.abs(np.asarray(loaded)[..., 0].astype(int) - GRADIENT).max() <= 1


def test_sixteen_bits_keep_their_range(tmp_path):
    deep = (GRADIENT.astype(np.uint16)) * 257
    loaded = load_image(save(Image.fromarray(deep), tmp_path / "x.png"))
    assert (np.asarray(loaded)[..., 1] == GRADIENT).all()


def test_transparency_lies_over_white(tmp_path):
    loaded = load_image(save(Image.new("RGBA", (2, 2), (255, 0, 0, 0)), tmp_path / "x.png"))
    assert loaded.getpixel((0, 0)) == (255, 255, 255)


def test_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.new("RGB", (20, 10)), tmp_path / "x.jpg", exif=exif)
    assert load_image(path).size == (10, 20)


def test_exif_rotation_of_values(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(GRADIENT), tmp_path / "x.png", exif=exif)
    assert (np.asarray(to_image(Image.open(path))) == np.asarray(to_image(path))).all()


@pytest.mark.parametrize("error", [OverflowError, MemoryError, TypeError])
def test_damage_that_pillow_has_no_words_for(tmp_path, monkeypatch, error: type[Exception]):
    def broken(*_):
        raise error

    monkeypatch.setattr(images, "as_rgb", broken)
    with pytest.raises(ImageError, match=f"cannot be read: {error.__name__}"):
        load_image(save(noise(), tmp_path / "x.png"))


def test_one_pixel(tmp_path):
    assert load_image(save(Image.new("RGB", (1, 1)), tmp_path / "x.png")).size == (1, 1)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_twenty_thousand_pixels_wide(tmp_path, suffix: str):
    path = save(Image.new("RGB", (20_000, 400), "gray"), tmp_path / f"x{suffix}")
    assert load_image(path, 1000).size == (1000, 20)


def test_too_large_is_refused_before_decoding(tmp_path):
    picture = save(Image.new("RGB", (20, 10)), tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"20 x 10 pixels; expected at most 100; cut it .* max_pixels in \[detector\]"):
        load_image(picture, reading=ReadOptions(max_pixels=100))
    assert load_image(picture, reading=ReadOptions(max_pixels=200)).size == (20, 10)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_small_file_that_declares_many_pixels_costs_no_memory(tmp_path):
    """A PNG header may say anything; 316 megapixels in 2.5 kB took 3 GB."""
    side = 17_783
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    packed = zlib.compress(bytes((side + 7) // 8 + 1) * 2000)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    tracemalloc.start()
    with pytest.raises(ImageError, match="17783 x 17783 pixels; expected at most 100,000,000"):
        load_image(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("read", [load_image, lambda path: read_mask(path, (20, 20))], ids=["photo", "mask"])
def test_a_program_named_like_a_picture_is_never_run(tmp_path, monkeypatch, read):
    """Pillow hands PostScript to Ghostscript, which runs what it says."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_args, **_more: pytest.fail("it was run"))
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n(x) print\n%%EOF\n"
    (tmp_path / "photo.png").write_bytes(program)
    with pytest.raises(ImageError, match=r"photo\.png is a PostScript program; expected PNG, JPEG, TIFF, BMP or WebP"):
        read(tmp_path / "photo.png")


def deep(values: np.ndarray, path: Path) -> Path:
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_range_of_16_bit_files_is_that_of_their_folder(tmp_path, bits: int):
    ramp = np.linspace(0, 2**bits - 1, 256).round().reshape(16, 16)
    bright, dark = deep(ramp, tmp_path / "a.png"), deep(ramp / 8, tmp_path / "b.png")
    assert folder_bits(tmp_path) == bits
    seen = np.asarray(load_image(bright))[..., 0].astype(int)
    assert np.abs(seen - np.arange(256).reshape(16, 16)).max() <= 1
    assert np.asarray(load_image(dark)).max() == pytest.approx(255 / 8, abs=1.5), "one range for the whole folder"
    notes = bits_note([bright, dark])
    assert len(notes) == (bits < 16)
    assert all(f"{bits}-bit values" in note and "--bits" in note for note in notes)


def deep_colour(values: np.ndarray, path: Path) -> Path:
    """A PNG with 16 bits per channel, which Pillow reads but does not write."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_keeps_its_range(tmp_path, bits: int, channels: int):
    ramp = np.linspace(0, 2**bits - 1, 256).round().reshape(16, 16)
    values = np.dstack([ramp, ramp[::-1], ramp.T, np.full_like(ramp, 2**bits - 1)][:channels])
    path = deep_colour(values, tmp_path / "a.png")
    assert folder_bits(tmp_path) == bits
    seen = np.asarray(load_image(path)).astype(int)
    assert np.abs(seen - np.round(values[..., :3] * 255 / (2**bits - 1))).max() <= 1
    assert len(bits_note([path])) == (bits < 16)


def deep_tiff(values: np.ndarray, path: Path, order: str) -> Path:
    """Uncompressed 16-bit RGB with its bytes in one order, to be turned a quarter."""
    height, width, _ = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    end = 8 + len(pixels) + 2 + 12 * 10 + 4
    short = {256: width, 257: height, 259: 1, 262: 2, 274: 6, 277: 3, 278: height}
    long = {258: end, 273: 8, 279: len(pixels)}
    entries = [
        struct.pack(f"{order}HHI", tag, 3 if tag in short or tag == 258 else 4, 3 if tag == 258 else 1)
        + (struct.pack(f"{order}HH", short[tag], 0) if tag in short else struct.pack(f"{order}I", long[tag]))
        for tag in sorted(short | long)
    ]
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8 + len(pixels))
    tail = struct.pack(f"{order}H", 10) + b"".join(entries) + struct.pack(f"{order}IHHH", 0, 16, 16, 16)
    path.write_bytes(head + pixels + tail)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colour_in_tiff(tmp_path, order: str):
    values = np.random.default_rng(0).integers(0, 4096, (6, 9, 3))
    seen = np.asarray(load_image(deep_tiff(values, tmp_path / "a.tif", order))).astype(int)
    assert np.abs(seen - np.rot90(values, -1) * 255 / 4095).max() <= 1


def test_the_bits_hold_for_arrays_too():
    values = np.full((4, 4), 1023, np.uint16)
    for value in (values, Image.fromarray(values)):
        shades = [np.asarray(to_image(value, reading=ReadOptions(bits=bits))).max() for bits in (10, 12, 16, None)]
        assert shades == [255, 63, 3, 3]


def test_files_of_both_ranges_in_one_folder(tmp_path):
    narrow = deep(np.linspace(0, 4095, 256).round().reshape(16, 16), tmp_path / "a.png")
    wide = deep(np.linspace(0, 65535, 256).round().reshape(16, 16), tmp_path / "b.png")
    assert np.abs(np.asarray(load_image(narrow)).astype(int) - np.asarray(load_image(wide))).max() <= 1


def test_a_dark_picture_among_many_of_16_bits_stays_dark(tmp_path):
    for name in "abc":
        deep(np.full((4, 4), 60_000), tmp_path / f"{name}.png")
    assert np.asarray(load_image(deep(np.full((4, 4), 900), tmp_path / "dark.png"))).max() == 3


def test_the_bits_can_be_said(tmp_path):
    path = deep(np.full((4, 4), 1023), tmp_path / "a.png")
    shades = {bits: int(np.asarray(load_image(path, reading=ReadOptions(bits=bits))).max()) for bits in (10, 12, 16)}
    assert shades == {10: 255, 12: 63, 16: 3}


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (Image.new("RGB", (100, 80)), "nearly all black"),
        (Image.new("RGB", (100, 80), "white"), "nearly all white"),
        (Image.new("RGB", (100, 80), (90, 91, 92)), "nearly constant: it shows nothing"),
        (Image.new("RGB", (1, 1)), "only 1x1 pixels"),
        (Image.linear_gradient("L").convert("RGB"), ""),
    ],
)
def test_pictures_that_show_nothing(picture: Image.Image, said: str):
    assert unremarkable(picture) == said


def noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP"])
def test_truncated(tmp_path, form: str):
    buffer = io.BytesIO()
    noise().save(buffer, form)
    path = tmp_path / "x"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(path)


def test_not_usable(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    for name, message in [
        ("empty.png", "is empty"),
        ("text.png", "not an image"),
        ("none.png", "no file"),
        (".", "cannot"),
    ]:
        with pytest.raises(ForgeError, match=message) as caught:
            load_image(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(tmp_path):
    path = save(noise(), tmp_path / "x.png")
    path.chmod(0)
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(path)


def test_floating_point_pixels(tmp_path):
    path = save(Image.fromarray(GRADIENT.astype(np.float32)), tmp_path / "x.tif")
    with pytest.raises(ImageError, match="floating-point pixels"):
        load_image(path)


def test_find_images(tmp_path):
    for name in ("b.png", "a.JPG", "deep/c.tif", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    everything = [tmp_path / name for name in ("a.JPG", "b.png", "deep/c.tif")]
    assert find_images([str(tmp_path)]).photos == everything
    assert find_images([str(tmp_path / "*.png"), str(tmp_path / "b.png")]).photos == [tmp_path / "b.png"]
    assert find_images(["-"], [f"{tmp_path}/x.png\n", "\n"]).photos == [tmp_path / "x.png"]
    assert find_images([str(tmp_path / "missing.png")]).photos == [tmp_path / "missing.png"]
    assert find_images([str(tmp_path / "d*")]).photos == [tmp_path / "deep/c.tif"]


def test_hidden_files_and_our_own_pictures_are_left_out(tmp_path):
    for name in ("a.png", "._a.png", ".trash/b.png", "run/maps/c.png", "run/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    kept = [tmp_path / "a.png", tmp_path / "run/d.png"]
    for given in (tmp_path, tmp_path / "**/*.png", tmp_path / "*"):
        assert find_images([str(given)], skip=tmp_path / "run/maps").photos == kept
    assert find_images([str(tmp_path / ".trash"), str(tmp_path / "._a.png")], skip=tmp_path / "none").photos == [
        tmp_path / ".trash/b.png",
        tmp_path / "._a.png",
    ]


@pytest.mark.parametrize(
    "mask",
    [
        "gear/ground_truth/bent/0_mask.png",
        "gear/masks/bent/0.png",
        "gear/mask/0.png",
        "gear/Mask/0.png",
        "ground_truth/1.png",
        "gear/test/bent/0_mask.png",
        "gear/test/bent/0_GT.png",
        "gear/test/bent/0-label.png",
        "gear/test/Label/0_label.PNG",
    ],
)
def test_masks_are_no_photos(tmp_path, mask: str):
    photo, mask_file = tmp_path / "gear/test/bent/0.png", tmp_path / mask
    for path in (photo, mask_file):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for named in (tmp_path, tmp_path / "**/*"):
        listing = find_images([str(named)])
        assert listing.photos == [photo]
        assert listing.masks == [mask_file]
        assert listing.left_out() == f"left out 1 file(s) that are masks, not photos, in {mask_file.parent}"
    assert find_images([str(mask_file)]).photos == [mask_file], "a file that is named is meant"


def test_grey_pictures_beside_a_photo_of_their_name_are_masks(tmp_path):
    photo = save(Image.fromarray(GRADIENT).convert("RGB"), tmp_path / "a.jpg")
    mask = save(Image.new("L", (8, 6)), tmp_path / "a.png")
    other = [save(Image.fromarray(GRADIENT).convert("RGB"), tmp_path / name) for name in ("b.jpg", "b.png")]
    listing = find_images([str(tmp_path)])
    assert (listing.photos, listing.masks) == ([photo, *other], [mask])


def test_a_folder_called_gt_is_left_out_only_beside_its_photos(tmp_path):
    for name in ("cars/gt/0.png", "gear/photos/1.png", "gear/gt/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    listing = find_images([str(tmp_path)])
    assert listing.photos == [tmp_path / "cars/gt/0.png", tmp_path / "gear/photos/1.png"]


def test_a_folder_of_masks_alone_is_looked_at_when_it_is_named(tmp_path):
    mask = tmp_path / "gear/masks/bent/0.png"
    mask.parent.mkdir(parents=True)
    mask.touch()
    assert find_images([str(mask.parent)]).photos == [mask]
    with pytest.raises(NoImagesError, match=r"no images in .*gear but 1 masks"):
        find_images([str(tmp_path / "gear")])


def test_nothing_to_look_at(tmp_path):
    for given in ([str(tmp_path)], [str(tmp_path / "*.png")], []):
        with pytest.raises(NoImagesError):
            find_images(given)


def test_python_values(tmp_path):
    colour = np.dstack([GRADIENT] * 3)
    tensor = torch.from_numpy(colour).permute(2, 0, 1)
    path = save(Image.fromarray(colour), tmp_path / "x.png")
    same = [path, str(path), Image.fromarray(colour), colour, colour / 255, tensor, tensor / 255, GRADIENT]
    same += [GRADIENT[..., None], tensor[:1], GRADIENT.astype(np.uint16) * 257]
    for value in same:
        assert (np.asarray(to_image(value)) == colour).all()


@pytest.mark.parametrize(
    "value", [3, np.zeros((2, 2, 2)), np.zeros((0, 3)), np.full((2, 2), 7.0), np.zeros((2, 2), int)]
)
def test_python_values_that_are_no_image(value):
    with pytest.raises(ImageError, match="not an image"):
        to_image(value)


def test_size_limit_of_values():
    assert to_image(np.zeros((50, 100), np.uint8), 10).size == (10, 5)
