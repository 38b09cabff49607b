"""What the model sees in an image, kept on disk, so that a new description version touches no image tower."""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from descriptions.common.files import atomic_write
from detector.defaults import CACHE_GB
from detector.errors import DetectorError
from detector.model.filo import FiLo
from detector.scoring.predict import Encoded

DEFAULT_LIMIT = int(CACHE_GB * 1e9)
"""Bytes a cache may take; an image at ViT-L size and 518 pixels takes 30 MB."""

_FORMAT = b"full precision"
"""Part of every key, so that files of another form (the rounded ones of old) are never read as ours."""

_IMAGE_SIDE = ("clip.visual.", "decoder_linear.", "decoder_cov.")
_SUFFIX = ".safetensors"
_OURS = re.compile(rf"[0-9a-f]{{2}}/(?:[0-9a-f]{{64}}\{_SUFFIX}|\.[0-9a-f]{{64}}\{_SUFFIX}\..*\.tmp)")
"""What we write, leftovers of killed writers included: only that may be removed, in whatever folder the user names."""


class CacheError(DetectorError):
    """A cache folder that cannot be used."""


def default_folder() -> Path:
    """Where features are kept unless a folder is named: the user's cache directory."""
    from platformdirs import user_cache_path

    return user_cache_path("filo-forge") / "features"


def image_fingerprint(model: FiLo) -> str:
    """SHA-256 over everything that decides the features of an image: weights that see images, and sizes.

    Contexts, adapter and text tower are left out: training them again keeps the cache valid.
    """
    return fingerprint(model, _IMAGE_SIDE)


def fingerprint(model: FiLo, parts: tuple[str, ...] = ("",)) -> str:
    """SHA-256 over the configuration and all weights whose names start with one of `parts`."""
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(parts):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def image_key(content: bytes, fingerprint: str) -> str:
    """Name of what a model with this fingerprint makes of some content, byte for byte."""
    return hashlib.sha256(_FORMAT + fingerprint.encode() + hashlib.sha256(content).digest()).hexdigest()


def picture_key(picture: Image.Image, fingerprint: str) -> str:
    """Name of one picture's features: its pixels, whatever file they came from, and the model that reads them."""
    return image_key(f"{picture.mode} {picture.size} ".encode() + picture.tobytes(), fingerprint)


def tensors_key(tensors: Sequence[Tensor], fingerprint: str) -> str:
    """Name of what a model makes of tensors, to the bit."""
    content = [tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() for tensor in tensors]
    return image_key(b"".join(content), fingerprint)


class FeatureCache:
    """One safetensors file per image.

    Many processes may share a folder: files appear whole or not at all, a damaged or vanished one counts as absent.
    When the limit is reached, features that this process has neither read nor written go first, the longest unused
    before others; what is left over is simply not kept, so that a data set larger than the cache still gains.

    Args:
        folder: created when missing.
        limit: bytes to keep at most; 0 keeps nothing.

    Raises:
        CacheError: the folder cannot be created.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self.folder, self.limit = folder, limit
        self.hits = self.misses = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"cache folder {folder}: {error.strerror}", expected="a folder", hint="pass --cache-dir or --no-cache"
            ) from error
        self._started = time.time()
        self._bytes = sum(size for _, size, _ in self._files())

    def get(self, key: str) -> Encoded | None:
        """Features kept under `key`, to the bit, or None."""
        tensors = self.tensors(key) or {}
        if "embedding" not in tensors:
            self.misses += 1
            return None
        self.hits += 1
        return Encoded(tensors["embedding"], tuple(tensors[f"patches.{index}"] for index in range(len(tensors) - 1)))

    def put(self, key: str, encoded: Encoded) -> None:
        """Keep one image's features, in full precision: with a cache and without one, every score is the same."""
        tensors = {f"patches.{index}": level for index, level in enumerate(encoded.patches)}
        tensors["embedding"] = encoded.embedding
        self.keep(key, tensors)

    def tensors(self, key: str) -> dict[str, Tensor] | None:
        """Tensors kept under `key`, as they are, or None."""
        path = self._path(key)
        try:
            stored = load(path.read_bytes())
            os.utime(path)
        except (OSError, SafetensorError):
            return None
        return stored

    def keep(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors in place of what `key` holds; a full disk or folder is no error, they are then not kept."""
        content = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})
        if self._bytes + len(content) > self.limit:
            self._evict(len(content))
        if self._bytes + len(content) > self.limit:
            return
        path = self._path(key)
        with suppress(OSError):
            before = path.stat().st_size if path.is_file() else 0
            atomic_write(path, content)
            self._bytes += len(content) - before

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, size and path of everything that is ours in the folder."""
        for path in self.folder.glob("??/*"):
            if not _OURS.fullmatch(f"{path.parent.name}/{path.name}"):
                continue
            with suppress(OSError):
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path

    def _evict(self, needed: int) -> None:
        """Make room for `needed` bytes, and a tenth of the limit more so that the folder is not listed each time."""
        files = sorted(self._files())
        self._bytes = sum(size for _, size, _ in files)
        room = self.limit - max(needed, self.limit // 10)
        for used, size, path in files:
            if self._bytes <= room or used >= self._started:
                break
            with suppress(OSError):
                path.unlink()
            self._bytes -= size
