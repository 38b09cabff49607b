"""The released model from pixels to maps, every stored intermediate of every case."""

from pathlib import Path

import pytest
import torch

from tests.support.golden import Golden, golden_set


@pytest.fixture
def vectors(golden: Path) -> Golden:
    return golden_set(golden)


@torch.no_grad()
def intermediates(vectors: Golden, case: dict) -> dict[str, torch.Tensor]:
    """What the manifest names, computed by the model's own steps."""
    model, adapt = vectors.model, case["with_adapter"]
    prompts, positions = vectors.prompts(case["cls"]), vectors.positions(case["positions"])
    features = model.encode_image(vectors.pixels(case["img"]))
    feature = model.image_feature(features.embedding, adapt=adapt)
    ((normal, abnormal),) = model.encode_prompts(feature, [prompts])
    text = model.encode_text(features.embedding, [prompts], [positions], adapt=adapt)
    joint = torch.stack([text.normal, text.abnormal], dim=1)
    decoded = model.decode(features)
    levels = len(model.config.feature_levels)
    maps = torch.stack(model.anomaly_maps(model.patch_embeddings(features), text))
    return {
        "image_feature": feature,
        "ctx_normal": model.normal_prompt_learner(feature)[0],
        "ctx_abnormal": model.abnormal_prompt_learner(feature)[0],
        "normal_raw": normal,
        "abnormal_raw": abnormal.flatten(0, 1),
        "normal_text_mean": text.normal[:, None],
        "abnormal_text_mean": text.abnormal[:, None],
        "text_features": joint / joint.norm(),
        "text_probs": model.similarity(features.embedding, text, adapt=adapt)[:, None],
        "dec_linear": torch.stack(decoded[:levels]),
        "dec_cov": torch.stack(decoded[levels:]),
        "maps": maps,
        "maps_ch1": maps[:, :, 1],
    }


def test_golden_cases(vectors):
    unchecked = set(vectors.tensors("filo"))
    for case in vectors.manifest["cases"]:
        computed = intermediates(vectors, case)
        for name in [each for each in unchecked if each.split(".")[0] == case["id"]]:
            vectors.check("filo", name, computed[name.split(".", 1)[1]])
            unchecked.discard(name)
    assert not unchecked


@torch.no_grad()
def test_golden_cases_in_one_batch(vectors):
    """The release handles one image at a time; a batch of mixed classes and positions gives the same maps."""
    cases = [case for case in vectors.manifest["cases"] if case["with_adapter"] and not case["only_train_adapter"]]
    output = vectors.model(
        torch.cat([vectors.pixels(case["img"]) for case in cases]),
        [vectors.prompts(case["cls"]) for case in cases],
        [vectors.positions(case["positions"]) for case in cases],
    )
    for row, case in enumerate(cases):
        vectors.check("filo", f"{case['id']}.text_probs", output.similarity[row, None, None])
        abnormal = torch.stack(output.maps)[:, row, 1]
        name = f"{case['id']}.maps"
        if name in vectors.tensors("filo"):
            expected = vectors.tensors("filo")[name][:, 0, 1]
        else:
            name += "_ch1"
            expected = vectors.tensors("filo")[name][:, 0]
        assert (abnormal - expected).abs().max() <= 10 * vectors.noise("filo", name)
