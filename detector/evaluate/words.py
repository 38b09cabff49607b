"""What the text tower reads for one image, phrase by phrase, so that nothing is read twice."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from detector.model.filo import FiLo, Positions
from detector.model.prompts import Ids, PromptIds, pack
from detector.model.text import Rows, TextFeatures, at_regions, text_features

Unit = tuple[str, tuple[Ids, ...]]
"""What is read together: `normal` or `abnormal`, and all normal states or the regions of one abnormal state."""


class Words:
    """Features of every prompt that was asked for with one image, kept by its token ids.

    Versions share most of their phrases, controls share their generic states, and both passes of the localizer `self`
    read the same prompts. On the CPU each unit goes through the text tower by itself, so that its features are the
    same bits whatever else is read: kept ones and fresh ones cannot be told apart. Elsewhere all missing ones go
    together, which is faster.

    Args:
        model: on its device, in evaluation mode.
        embedding: of one image, [1, embed]; it shifts the learned context.
        kept: features from before, by `unit_key`.
    """

    def __init__(self, model: FiLo, embedding: Tensor, kept: dict[str, Tensor] | None = None) -> None:
        self.model = model
        self.kept = {key: rows.to(embedding.device) for key, rows in (kept or {}).items()}
        self.fresh = 0
        """Units that the text tower had to read."""
        self._feature = model.image_feature(embedding).to(model.dtype)

    def rows(self, prompts: PromptIds) -> Rows:
        """Features of all prompts of a version."""
        units: list[Unit] = [("normal", prompts.normal), *(("abnormal", state) for state in prompts.abnormal)]
        keys = [unit_key(unit) for unit in units]
        missing = {key: unit for key, unit in zip(keys, units, strict=True) if key not in self.kept}
        together = self._feature.device.type != "cpu"
        for group in [list(missing)] if together and missing else [[key] for key in missing]:
            self.kept |= zip(group, self._read([missing[key] for key in group]), strict=True)
        self.fresh += len(missing)
        normal, *abnormal = (self.kept[key] for key in keys)
        return normal, torch.stack(abnormal)

    def features(self, prompts: PromptIds, at: Positions = ()) -> TextFeatures:
        """The normal and the abnormal vector, for the regions in `at` (all when empty)."""
        return text_features([at_regions(self.rows(prompts), at)])

    def _read(self, units: Sequence[Unit]) -> list[Tensor]:
        model, trees, contexts, sizes = self.model, [], [], []
        learners = {"normal": model.normal_prompt_learner, "abnormal": model.abnormal_prompt_learner}
        for side, texts in units:
            packed = pack(texts, model.start_token, model.config.context_tokens)
            trees += packed
            contexts += [learners[side](self._feature)[0]] * len(packed)
            sizes.append(len(packed))
        done = iter(model.text_tower(trees, torch.stack(contexts)))
        return [torch.cat([next(done) for _ in range(size)]) for size in sizes]


def unit_key(unit: Unit) -> str:
    """A name for the features of a unit."""
    return hashlib.sha256(repr(unit).encode()).hexdigest()[:32]
