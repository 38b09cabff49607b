"""Photos read ahead of the model, in batches and in threads, a bounded number of them."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from descriptions.common.errors import ForgeError
from detector.scoring.predictor import Predictor

Read = tuple[str, Image.Image | str]
"""The path of a photo (empty for one that is no file), and the photo or why it cannot be used."""


def read_ahead(predictor: Predictor, photos: Iterable[Any], workers: int, batch_size: int) -> Iterator[list[Read]]:
    """Photos in batches, in their order; at most two batches are in memory.

    Args:
        predictor: knows how photos are read.
        photos: what `Detector.predict` takes; taken as they are needed.
        workers: threads.
        batch_size: photos of a batch.
    """
    source = iter(photos)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Read]] = deque()
        try:
            while True:
                wanted = islice(source, 2 * batch_size - len(waiting))
                waiting.extend(pool.submit(_read, predictor, each) for each in wanted)
                if not waiting:
                    return
                yield [waiting.popleft().result() for _ in range(min(batch_size, len(waiting)))]
        finally:
            pool.shutdown(cancel_futures=True)


def _read(predictor: Predictor, value: Any) -> Read:
    path = str(value) if isinstance(value, str | Path) else ""
    try:
        return path, predictor.load(value)
    except ForgeError as error:
        return path, str(error)
