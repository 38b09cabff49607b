"""Every kind of picture people have, and everything that is none."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from descriptions.errors import ForgeError
from detector import images
from detector.images import ImageError, NoImagesError, find_images, load_image, to_image


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


def test_too_large_is_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 100)
    with pytest.raises(ImageError, match="20 x 10 pixels"):
        load_image(save(Image.new("RGB", (20, 10)), tmp_path / "x.png"))


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
    assert find_images([str(tmp_path)]) == everything
    assert find_images([str(tmp_path / "*.png"), str(tmp_path / "b.png")]) == [tmp_path / "b.png"]
    assert find_images(["-"], [f"{tmp_path}/x.png\n", "\n"]) == [tmp_path / "x.png"]
    assert find_images([str(tmp_path / "missing.png")]) == [tmp_path / "missing.png"]
    assert find_images([str(tmp_path / "d*")]) == [tmp_path / "deep/c.tif"]


def test_hidden_files_and_our_own_pictures_are_left_out(tmp_path):
    for name in ("a.png", "._a.png", ".trash/b.png", "run/maps/c.png", "run/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    kept = [tmp_path / "a.png", tmp_path / "run/d.png"]
    for given in (tmp_path, tmp_path / "**/*.png", tmp_path / "*"):
        assert find_images([str(given)], skip=tmp_path / "run/maps") == kept
    assert find_images([str(tmp_path / ".trash"), str(tmp_path / "._a.png")], skip=tmp_path / "none") == [
        tmp_path / ".trash/b.png",
        tmp_path / "._a.png",
    ]


def test_masks_of_a_data_set_are_no_photos(tmp_path):
    names = ("gear/test/bent/0.png", "gear/ground_truth/bent/0_mask.png", "other/ground_truth/1.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    photo, mask, alone = (tmp_path / name for name in names)
    assert find_images([str(tmp_path)]) == [photo, alone]  # without `test` beside it, it is just a folder
    assert find_images([str(tmp_path / "gear")]) == [photo]
    assert find_images([str(mask.parent)]) == [mask]


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
