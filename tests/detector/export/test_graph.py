"""What is traced for an export gives, step by step, what `detect` does."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.export.graph import ReadingText, peak_region
from detector.export.pixels import Pixels
from detector.images.tensors import to_pixels
from detector.localize.regions import REGIONS
from detector.scoring.predict import encode, peak
from detector.scoring.text_reader import TextReader
from tests.support.clip import tiny_config, tiny_filo, tiny_pixels, tiny_prompts


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Black and white noise, where rounding between the two passes of a resize shows most."""
    return np.random.default_rng(seed).integers(0, 2, (height, width, 3), dtype=np.uint8) * 255


@given(height=st.integers(1, 200), width=st.integers(1, 200), size=st.sampled_from([14, 56, 126]))
@settings(deadline=None, max_examples=30)
def test_pictures_of_any_size_are_resized_as_pillow_does_it(height, width, size):
    config, picture = tiny_config(image_size=size), noise(height, width)
    ours = Pixels(config)(torch.from_numpy(picture)[None])[0]
    levels = (ours - to_pixels(Image.fromarray(picture), config)).abs() * torch.tensor(config.std)[:, None, None] * 255
    assert float(levels.max()) < 1e-3, "every byte is Pillow's"


def test_a_batch_is_resized_picture_by_picture():
    pixels = Pixels(tiny_config())
    pictures = torch.from_numpy(np.stack([noise(90, 70, seed) for seed in range(3)]))
    assert torch.equal(pixels(pictures), torch.cat([pixels(each[None]) for each in pictures]))


def anomaly_maps(rows: int, kind: str, seed: int) -> torch.Tensor:
    values = torch.from_numpy(np.random.default_rng(seed).random((3, 1, rows, rows), dtype=np.float32))
    smooth = {"noise": values, "blobs": torch.nn.functional.avg_pool2d(values, 5, 1, 2)}
    return smooth[kind][:, 0]


@given(rows=st.integers(5, 40), kind=st.sampled_from(["noise", "blobs"]), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=80)
def test_the_region_is_that_of_the_connected_area_around_the_peak(rows, kind, seed):
    maps = anomaly_maps(rows, kind, seed)
    assert [REGIONS[index] for index in peak_region(maps)] == [peak(each).region for each in maps]


def test_an_area_may_wind():
    """A spiral: the flood has to turn at every corner, and ends in the middle of the picture."""
    side, spiral = 41, np.zeros((41, 41), np.float32)
    row, column, (down, right), steps = 0, 0, (0, 1), side - 1
    spiral[0, 0] = 1
    while steps > 0:
        for _ in range(2):
            for _ in range(steps):
                row, column = row + down, column + right
                spiral[row, column] = 1
            down, right = right, -down
        steps -= 2
    spiral[0, 0] = 1.2
    (found,) = peak_region(torch.from_numpy(spiral)[None])
    assert REGIONS[found] == peak(torch.from_numpy(spiral)).region == "center"
    spiral[0, 3] = 0
    (found,) = peak_region(torch.from_numpy(spiral)[None])
    assert REGIONS[found] == peak(torch.from_numpy(spiral)).region == "top left", "only what is connected counts"


def test_a_flat_map_names_no_region():
    assert peak_region(torch.zeros(2, 9, 9)).tolist() == [-1, -1]


@torch.inference_mode()
def test_the_text_of_every_picture_is_read_in_its_own_context():
    model, prompts = tiny_filo(), tiny_prompts()
    for learner in (model.normal_prompt_learner, model.abnormal_prompt_learner):
        torch.nn.init.ones_(learner.meta_net.linear1.bias)  # else its one hidden unit is off for most pictures
    embedding = encode(model, tiny_pixels(3)).embedding
    normal, abnormal = ReadingText(model, prompts)(embedding)
    for index, (ours_normal, ours_abnormal) in enumerate(TextReader(model, embedding).rows(prompts)):
        torch.testing.assert_close(normal[index], ours_normal, rtol=0, atol=2e-6)
        torch.testing.assert_close(abnormal[index], ours_abnormal, rtol=0, atol=2e-6)
    assert float((normal[0] - normal[1]).abs().max()) > 1e-4, "the pictures move it, so the test can fail"
