import torch

from detector.train.augment import Picture, flip, mosaic, photometric
from detector.train.sampling import generator


def picture(seed=0, side=8):
    noise = torch.Generator().manual_seed(seed)
    image = torch.rand(3, side, side, generator=noise)
    return Picture(image, (image[:1] > 0.5).float())


def test_mask_moves_with_the_image():
    seen = set()
    for address in range(20):
        image, mask = flip(picture(), generator(0, address))
        assert torch.equal((image[:1] > 0.5).float(), mask)
        seen.add(image.numpy().tobytes())
    assert len(seen) == 4


def test_photometric_stays_in_range_and_leaves_the_mask():
    before = picture()
    after = photometric(before, 0.3, generator(0, 1))
    assert 0 <= after.image.min() <= after.image.max() <= 1
    assert not torch.equal(after.image, before.image)
    assert torch.equal(after.mask, before.mask)
    assert torch.allclose(photometric(before, 0.0, generator(0, 1)).image, before.image, atol=1e-6)


def test_mosaic_puts_each_picture_in_its_quarter():
    tiles = [
        Picture(torch.full((3, 8, 8), level), torch.full((1, 8, 8), float(level > 0.5)))
        for level in (0.1, 0.4, 0.7, 1.0)
    ]
    image, mask = mosaic(tiles)
    assert image.shape == (3, 8, 8)
    corners = image[0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.allclose(corners, torch.tensor([0.1, 0.4, 0.7, 1.0]))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert mask[0, 0].sum() == 0
    assert mask[0, -1].sum() == 8


def test_the_same_address_gives_the_same_picture():
    first, again = (photometric(flip(picture(), rng), 0.2, rng) for rng in (generator(3, 1, 5), generator(3, 1, 5)))
    assert torch.equal(first.image, again.image)
