"""The feature cache: equal numbers with and without it, bounded, and safe under kills and parallel runs."""

import multiprocessing
import os

import pytest
import torch
from PIL import Image

from detector.scoring.feature_cache import (
    CacheError,
    FeatureCache,
    default_folder,
    image_fingerprint,
    image_key,
    picture_key,
)
from detector.scoring.predict import Encoded, encode
from tests.support.clip import tiny_filo, tiny_pixels


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Encoded(
        torch.randn(1, 8, generator=generator), tuple(torch.randn(1, 4, 8, generator=generator) for _ in "ab")
    )


def same(first, second):
    return torch.equal(first.embedding, second.embedding) and all(map(torch.equal, first.patches, second.patches))


def keys(number):
    return [image_key(bytes([index]), "model") for index in range(number)]


def size_of_one(tmp_path):
    FeatureCache(tmp_path / "one").put(keys(1)[0], features())
    return next((tmp_path / "one").glob("??/*")).stat().st_size


def test_features_come_back_bit_equal_to_uncached_ones(tmp_path):
    model = tiny_filo()
    with torch.inference_mode():
        fresh = encode(model, tiny_pixels(1))
    key = image_key(b"image", image_fingerprint(model))
    cache = FeatureCache(tmp_path)
    assert cache.get(key) is None
    cache.put(key, fresh)
    kept = FeatureCache(tmp_path).get(key)
    assert kept is not None
    assert same(kept, fresh)
    assert all(level.is_contiguous() for level in (*kept.patches, *fresh.patches)), "one layout, one order of sums"
    assert kept.embedding.dtype == torch.float32
    assert (cache.hits, cache.misses) == (0, 1)
    assert cache.get("0" * len(key)) is None
    assert (cache.hits, cache.misses) == (0, 2)


def test_the_key_follows_image_weights_and_sizes():
    model = tiny_filo()
    print_ = image_fingerprint(model)
    assert image_fingerprint(tiny_filo()) == print_
    assert image_fingerprint(tiny_filo(seed=1)) != print_
    assert image_fingerprint(tiny_filo(variant="released")) != print_
    with torch.no_grad():
        model.adapter.fc[0].weight += 1
    assert image_fingerprint(model) == print_
    with torch.no_grad():
        next(model.decoder_cov.parameters()).add_(1)
    assert image_fingerprint(model) != print_
    assert len({image_key(b"a", print_), image_key(b"b", print_), image_key(b"a", "other")}) == 3


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100])
def test_a_damaged_file_counts_as_absent_and_is_replaced(tmp_path, content):
    cache = FeatureCache(tmp_path)
    cache.put("abcd", features())
    path = next(tmp_path.glob("??/*"))
    path.write_bytes(content or path.read_bytes()[:100])
    assert cache.get("abcd") is None
    cache.put("abcd", features())
    assert cache.get("abcd") is not None


def test_old_features_make_room_and_the_limit_holds(tmp_path):
    one = size_of_one(tmp_path)
    folder = tmp_path / "cache"
    old = FeatureCache(folder, limit=10 * one)
    for key in keys(10):
        old.put(key, features())
    for age, key in enumerate(keys(10)):
        os.utime(old._path(key), (1000 + age, 1000 + age))
    (folder / keys(1)[0][:2] / f".{keys(1)[0]}.safetensors.ab12.tmp").write_bytes(b"x" * one)
    cache = FeatureCache(folder, limit=10 * one)
    assert cache.get(keys(1)[0]) is not None  # the oldest, but now in use
    for number in range(20, 24):
        cache.put(image_key(bytes([number]), "model"), features())
    kept = [key for key in keys(10) if cache._path(key).exists()]
    assert keys(1)[0] in kept
    assert keys(2)[1] not in kept
    assert sum(path.stat().st_size for path in folder.glob("??/*")) <= 10 * one


def test_a_data_set_larger_than_the_cache_keeps_what_fits(tmp_path):
    one = size_of_one(tmp_path)
    for _ in range(2):
        cache = FeatureCache(tmp_path / "small", limit=3 * one)
        for key in keys(8):
            if cache.get(key) is None:
                cache.put(key, features())
    assert cache.hits == 3


def test_files_of_others_are_neither_counted_nor_removed(tmp_path):
    key, *more = keys(4)
    others = [tmp_path / "de" / "notes.txt", tmp_path / "UK" / f"{key}.safetensors", tmp_path / "aa" / ".mine.tmp"]
    for path in others:
        path.parent.mkdir()
        path.write_bytes(b"x" * 10**6)
        os.utime(path, (1000, 1000))
    FeatureCache(tmp_path).put(key, features())
    os.utime(FeatureCache(tmp_path)._path(key), (1001, 1001))
    cache = FeatureCache(tmp_path, limit=2 * size_of_one(tmp_path))
    for name in more:
        cache.put(name, features())
    assert cache.get(more[0]) is not None
    assert cache.get(key) is None, "room was made"
    assert all(path.is_file() for path in others)


def test_nothing_is_kept_with_a_limit_of_zero(tmp_path):
    FeatureCache(tmp_path, limit=0).put("abcd", features())
    assert not list(tmp_path.glob("??/*"))


def hammer(folder):
    cache = FeatureCache(folder, limit=20_000)
    for key in keys(30) * 3:
        stored = cache.get(key)
        if stored is None:
            cache.put(key, features())
        else:
            assert same(stored, features())


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=hammer, args=(tmp_path,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"expected a folder.*--no-cache"):
        FeatureCache(tmp_path / "file" / "cache")


def test_a_picture_is_known_by_its_pixels():
    picture = Image.new("RGB", (4, 2), "gray")
    assert picture_key(picture, "model") == picture_key(picture.copy(), "model")
    others = [picture.resize((2, 4)), Image.new("RGB", (4, 2), "black")]
    assert len({picture_key(each, "model") for each in (picture, *others)} | {picture_key(picture, "other")}) == 4


def test_the_default_folder_is_the_users_cache():
    assert default_folder().name == "features"
