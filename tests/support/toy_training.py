"""A real, tiny two-stage training: two linear layers on noisy points, through the engine that trains FiLo."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from detector.train.config import TrainConfig
from detector.train.engine import Stage, Trainer
from detector.train.log import Report
from detector.train.sampling import generator

CONFIG = TrainConfig(
    batch_size=4, main_epochs=3, adapter_epochs=2, save_every=3, validate_every=4, warmup_steps=2, precision="32-true"
)


class Points(NamedTuple):
    inputs: Tensor
    targets: Tensor


class ToySource:
    """Twenty-six points, jittered by their own (epoch, point) stream as pictures are augmented."""

    size = 26

    def __init__(self) -> None:
        rng = generator(11)
        self.inputs = torch.tensor(rng.normal(size=(34, 6)), dtype=torch.float32)
        self.targets = self.inputs @ torch.tensor(rng.normal(size=(6, 2)), dtype=torch.float32)

    def batch(self, positions: Sequence[int], epoch: int) -> Points:
        noise = [torch.tensor(generator(5, epoch, i).normal(size=6), dtype=torch.float32) for i in positions]
        return Points(self.inputs[list(positions)] + 0.01 * torch.stack(noise), self.targets[list(positions)])

    def validation(self, batch: int) -> Iterator[tuple[int, Points]]:
        for start in range(26, 34, batch):
            inputs = self.inputs[start : min(start + batch, 34)]
            yield len(inputs), Points(inputs, self.targets[start : min(start + batch, 34)])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 2)


class Objective(nn.Module):
    def __init__(self, model: Net) -> None:
        super().__init__()
        self.model = model

    def forward(self, points: Points) -> dict[str, Tensor]:
        predicted = self.model.second(torch.tanh(self.model.first(points.inputs)))
        return {"squared": F.mse_loss(predicted, points.targets), "absolute": F.l1_loss(predicted, points.targets)}


def toy_trainer(
    folder: Path,
    *,
    config: TrainConfig = CONFIG,
    source: ToySource | None = None,
    fabric: Fabric | None = None,
    fingerprint: str = "toy",
    listener: Callable[[Report], None] = lambda _: None,
    objective: Callable[[Net], nn.Module] = Objective,
) -> Trainer:
    torch.manual_seed(0)
    net = Net()
    stages = [
        Stage(
            "main", config.main_epochs, objective(net), dict.fromkeys(["model.first.weight", "model.first.bias"], 0.05)
        ),
        Stage("adapter", config.adapter_epochs, objective(net), {"model.second.weight": 0.02}),
    ]
    fabric = fabric or Fabric(accelerator="cpu", devices=1, precision="32-true")
    fabric.launch()
    return Trainer(
        config, folder, source or ToySource(), stages, fingerprint=fingerprint, fabric=fabric, listener=listener
    )


def _kill_after(count: int) -> Callable[[Report], None]:
    """A listener that ends its process with SIGKILL after `count` steps."""
    left = [count]

    def listener(_: Report) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return listener


def _attempt(folder: Path, *, resume: bool, kill_after: int) -> int:
    """Train in a forked process; its wait status (9 when killed)."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        toy_trainer(folder, listener=_kill_after(kill_after)).run(resume=resume)
        os._exit(0)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        killed = [_attempt(Path(sys.argv[2]), resume=i > 0, kill_after=int(n)) for i, n in enumerate(sys.argv[3:])]
        last = _attempt(Path(sys.argv[2]), resume=True, kill_after=10**9)
        print(*killed, last)  # noqa: T201
    else:
        processes = int(sys.argv[3])
        fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
        config = CONFIG.model_copy(update={"batch_size": 8 // processes, "validate_every": 0})
        toy_trainer(Path(sys.argv[2]), config=config, fabric=fabric).run()
