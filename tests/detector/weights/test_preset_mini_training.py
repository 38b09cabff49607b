"""The training of `mini`: what it may see, what it paints, and that the student becomes the very model that ships."""

import contextlib
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from detector.localize.regions import REGIONS
from detector.model.filo import FiLo
from detector.scoring.prompts import AnomalyText, prompt_set
from detector.weights.factory import create_model
from detector.weights.files import load_strictly
from tools.pretrain import captions, corpus, export, objective, paint, products, samples, train, words
from tools.pretrain.student import CONTEXT, Student


def textures(root: Path) -> Path:
    """Two tiny data sets in the layout of the real ones: one with masks, one good."""
    rng = np.random.default_rng(0)
    for name in corpus.SOURCES:
        folder = root / name
        for part in ("test/crack", "ground_truth/crack"):
            (folder / part).mkdir(parents=True)
        mask = np.zeros((40, 40), np.uint8)
        mask[10:20, 5:30] = 255
        cv2.imwrite(str(folder / "test/crack/a.jpg"), rng.integers(0, 255, (40, 40, 3), np.uint8))
        cv2.imwrite(str(folder / "ground_truth/crack/a_mask.png"), mask)
    for name in ("bumpy", "cracked"):
        folder = root / corpus.DTD / name / "train/good"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "b.jpg"), rng.integers(0, 255, (50, 60, 3), np.uint8))
    return root


def test_reads_masks_and_leaves_out_textures_that_look_like_a_defect(tmp_path: Path) -> None:
    found = corpus.load(textures(tmp_path))
    assert [e.kind for e in found] == ["crack"] * 4 + ["good"]
    assert found[0].mask.sum() == 250
    assert not found[-1].mask.any()


def test_development_sets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(corpus.SOURCES, "mvtec/transistor", "transistor")
    with pytest.raises(ValueError, match="development set"):
        corpus.load(textures(tmp_path))


@pytest.mark.parametrize("kind", paint.PAINTERS)
def test_a_painter_changes_what_it_marks(kind: str) -> None:
    rng = np.random.default_rng(3)
    image = samples.synthetic(96, rng)
    for _ in range(5):
        painted, mask = paint.PAINTERS[kind](image, rng)
        assert (painted.shape, mask.shape, painted.dtype) == (image.shape, image.shape[:2], np.float32)
        assert np.array_equal(painted, painted.clip(0, 1))
        if mask.max() > 0.5:
            change = np.abs(painted - image).mean(-1)
            assert change[mask > 0.5].mean() > change[mask == 0].mean()


@pytest.mark.parametrize("covered", [False, True])
def test_a_product_stands_on_its_background(covered: bool) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        background = samples.synthetic(96, rng)
        material = samples.synthetic(96, rng) if covered else None
        picture, where = products.place(background, rng, material)
        assert (picture.shape, where.shape, picture.dtype) == (background.shape, (96, 96), np.float32)
        assert np.array_equal(picture, picture.clip(0, 1))
        assert 0.01 < where.mean() < 0.9
        assert np.array_equal(picture[where == 0], background[where == 0])
        assert np.abs(picture - background)[where > 0.9].mean() > 0.02


def test_a_defect_of_a_product_stays_on_it() -> None:
    rng = np.random.default_rng(5)
    picture, where = products.place(samples.synthetic(96, rng), rng)
    for kind in paint.PAINTERS:
        painted, mask = samples.painted(picture, kind, rng, where)
        assert not mask[where == 0].any()
        assert np.array_equal(painted[where == 0], picture[where == 0])


def test_every_painted_and_real_kind_has_words() -> None:
    assert set(paint.PAINTERS) | set(captions.FOLDER_KINDS.values()) <= set(captions.KINDS)
    assert captions.POSITIONS == REGIONS


def test_the_stream_repeats_with_its_seed(tmp_path: Path) -> None:
    examples = corpus.load(textures(tmp_path))
    first, again = (iter(samples.Stream(examples, 48, 7)) for _ in range(2))
    for _ in range(12):
        a, b = next(first), next(again)
        assert torch.equal(a.pixels, b.pixels)
        assert torch.equal(a.mask, b.mask)
        assert a[2:] == b[2:]
        assert (a.label == 1) == (a.kind != "good")


@pytest.fixture(scope="module")
def student() -> Student:
    made = train.build(seed=0, size=export.config().image_size).eval()
    torch.nn.init.normal_(made.adapter[2].weight, std=0.2)
    return made


@pytest.fixture(scope="module")
def shipped(student: Student) -> FiLo:
    model = create_model(export.config())
    load_strictly(model, export.convert(student.state_dict(), model), "student")
    return model


@torch.no_grad()
def test_the_shipped_model_is_the_student(student: Student, shipped: FiLo, monkeypatch: pytest.MonkeyPatch) -> None:
    size = shipped.config.image_size
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch, "autocast", lambda *_: contextlib.nullcontext())
    ours = student.encode_image(pixels)
    theirs = shipped.encode_image(pixels)
    torch.testing.assert_close(ours.image, shipped.image_feature(theirs.embedding), atol=1e-5, rtol=0)
    for mine, its in zip(ours.patches, shipped.patch_embeddings(theirs), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-5, rtol=0)
    prompts = prompt_set("tile", ("flawless {}",), [AnomalyText("d", "thin dark crack")], ())
    text = shipped.encode_text(theirs.embedding, [prompts], [[0], [0]])
    normal = student.encode_text(objective.tokens(["flawless tile."]), abnormal=False)
    abnormal = student.encode_text(objective.tokens(["abnormal tile with thin dark crack at top left."]), abnormal=True)
    torch.testing.assert_close(text.normal[:1], normal, atol=1e-5, rtol=0)
    torch.testing.assert_close(text.abnormal[:1], abnormal, atol=1e-5, rtol=0)


def test_words_never_trained_have_no_row_and_trained_ones_do(student: Student) -> None:
    rows = student.clip.token_embedding.weight
    trained = objective.tokens(["abnormal leather with hairline fracture at top left."])[0, 1 + CONTEXT :]
    unseen = objective.tokens(["zebra"])[0, 1 + CONTEXT]
    assert (rows[trained[: int(trained.argmax()) + 1]].abs().sum(1) > 0).all()
    assert rows[unseen].abs().sum() == 0


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--size", "112", "--steps", "2", "--batch", "3", "--start", "random", "--word-steps", "2"]
    places = ["--data", str(textures(tmp_path / "data")), "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["train", *places, *options])
    args = train.arguments()
    run = train.Run(args)
    before = run.student.linear[0].weight.clone()
    run.learn()
    assert run.step == 3
    assert not torch.equal(before, run.student.linear[0].weight)
    resumed = train.Run(args)
    assert (resumed.step, resumed.done) == (3, 1.0)
    assert torch.equal(resumed.student.linear[0].weight, run.student.linear[0].weight)
    assert export.history(run.state)["steps"] == 3
    assert export.history(run.state, run.state)["steps"] == 6
    one, mean = (export.load(*[run.state] * count).state_dict() for count in (1, 2))
    assert all(torch.equal(tensor, mean[name]) for name, tensor in one.items())


def test_words_learn_where_they_belong() -> None:
    student = train.build(seed=0, size=56)
    words.learn(student, seed=0, steps=40)
    width = student.clip.text_projection.shape[1]
    tokens = objective.tokens(["flawless bottle."])
    normal, abnormal = (words.direction(width, abnormal=side) for side in (False, True))
    found = student.encode_text(tokens, abnormal=False)[0]
    assert found @ normal > max(0.98, float(found @ abnormal))
    assert not any(p.requires_grad for p in student.clip.transformer.parameters())


def test_directions_tell_kinds_and_places_apart() -> None:
    crack, hole = (words.direction(48, abnormal=True, kind=kind, position="top") for kind in ("crack", "hole"))
    assert crack.norm() == pytest.approx(1)
    assert crack @ hole < crack @ words.direction(48, abnormal=True, kind="crack", position="left") < 1
    assert crack @ words.direction(48, abnormal=False) < crack @ hole


def test_the_region_of_a_mask_is_named() -> None:
    mask = torch.zeros(30, 30)
    mask[22:28, 1:5] = 1
    assert objective.region(mask) == "bottom left"


def test_own_words_are_written_for_every_image() -> None:
    sample = samples.Sample(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(8, 8), 0, "good", "tile")
    written = objective.write([sample, sample], random.Random(0))
    assert (len(written.normal), len(written.abnormal), len(written.kinds)) == (4, 8, len(captions.KINDS))
