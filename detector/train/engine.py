"""The loop: stages of steps, saved often enough that a kill costs time and never changes the result."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from descriptions.common.errors import ForgeError
from detector.train.config import TrainConfig
from detector.train.errors import InterruptedTrainingError, ResumeError
from detector.train.failures import memory_guard
from detector.train.log import Report, append_line, memory_mb, truncate_log
from detector.train.sampling import batch_indices, rate, steps_per_epoch
from detector.train.state import Progress, State, load_state, restore, save_state, trainable

Terms = Mapping[str, Tensor]
"""Loss terms by name; their sum is minimised."""


LOG = "metrics.jsonl"
"""One JSON object a step."""


class Stage(NamedTuple):
    """A part of training with its own parameters, loss and optimizer."""

    name: str
    epochs: int
    objective: nn.Module
    """Called with a batch, returns `Terms`; holds the model, so that several processes can share its gradients."""
    rates: Mapping[str, float]
    """Peak learning rate of each parameter that is trained, by the name it has in `objective`."""


class Source(Protocol):
    """Training data, addressed so that the same address always gives the same batch."""

    size: int
    """Images in the training part."""

    def batch(self, positions: Sequence[int], epoch: int) -> Any:
        """The images at `positions` of the training part as `epoch` shows them."""

    def validation(self, batch: int) -> Iterator[tuple[int, Any]]:
        """The held-out part as it is, in order, each batch with its number of images."""


class Trainer:
    """Runs stages in a folder.

    Args:
        config: schedule and rates.
        folder: receives `last.safetensors`, `best-<stage>.safetensors` and `metrics.jsonl`.
        source: the data.
        stages: in order.
        fingerprint: what the weights depend on; a resumed run must have the same.
        fabric: devices and precision; launched by the caller.
        listener: told about every step (progress display).
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        source: Source,
        stages: Sequence[Stage],
        *,
        fingerprint: str,
        fabric: Fabric,
        listener: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self.config, self.folder, self.source, self.stages = config, folder, source, stages
        self.fingerprint, self.fabric, self.listener = fingerprint, fabric, listener
        self.last = folder / "last.safetensors"

    def run(self, *, resume: bool = False, state: State | None = None) -> Progress:
        """Train every stage to its end.

        Args:
            resume: continue from `last.safetensors`; equals an uninterrupted run byte for byte on the CPU.
            state: what `start` gave, so that gigabytes are not read twice; read here when None.

        Raises:
            ResumeError: see `start`.
            InterruptedTrainingError: stopped half-way; the last state is on disk.
        """
        state = state or self.start(resume=resume)
        if state and self.fabric.is_global_zero:
            truncate_log(self.folder / LOG, state.progress.stage, state.progress.step)
        start = state.progress if state else Progress(fingerprint=self.fingerprint)
        if state:
            for stage in self.stages:
                restore(state._replace(parameters=_present(state.parameters, stage.objective)), stage.objective, None)
        for index in range(start.stage, len(self.stages)):
            first = start if index == start.stage else Progress(fingerprint=self.fingerprint, stage=index)
            self._stage(first, state if index == start.stage else None)
        done = Progress(fingerprint=self.fingerprint, stage=len(self.stages))
        self._save(done, None)
        return done

    def load_best(self) -> bool:
        """Give every stage's parameters their values at its lowest held-out loss; False where none was validated."""
        restored = False
        for stage in self.stages:
            if self._best(stage).is_file():
                state = load_state(self._best(stage))
                own = {name: value for name, value in state.parameters.items() if name in stage.rates}
                restore(state._replace(parameters=own), stage.objective, None)
                restored = True
        return restored

    def _best(self, stage: Stage) -> Path:
        return self.folder / f"best-{stage.name}.safetensors"

    def start(self, *, resume: bool) -> State | None:
        """What the run begins with: the state to continue from, or None.

        Raises:
            ResumeError: nothing to continue, another run, or a folder that already holds one.
        """
        if not resume:
            if self.last.exists():
                raise ResumeError(f"{self.folder} holds a run already", hint="add --resume, or give another --out")
            return None
        state = load_state(self.last)
        if state.progress.fingerprint != self.fingerprint:
            raise ResumeError(
                f"{self.last} was made with other settings, weights, data or descriptions"
                f" ({state.progress.fingerprint[:12]})",
                expected=f"the same as now ({self.fingerprint[:12]})",
                hint="repeat the first command's options, or give another --out",
            )
        return state

    def _stage(self, progress: Progress, state: State | None) -> None:
        stage = self.stages[progress.stage]
        stage.objective.to(self.fabric.device)
        plain = self._optimizer(stage)
        if state and state.progress.step:
            restore(state, stage.objective, plain)
        objective, optimizer = self.fabric.setup(stage.objective, plain)
        per_epoch = steps_per_epoch(self.source.size, self._global_batch)
        total = per_epoch * stage.epochs
        for step in range(progress.step, total):
            where = f"stage {stage.name}, step {step + 1}"
            with memory_guard(where, self.config.batch_size), self._keeping(progress, plain):
                report = self._step(objective, optimizer, progress.stage, step, (per_epoch, total))
            progress = progress.model_copy(update={"step": step + 1})
            with memory_guard(where, self.config.batch_size), self._keeping(progress, plain):
                value = self._validate(objective, step + 1, total)
            progress = self._keep_best(progress, value)
            self._log(report._replace(validation_loss=value))
            if (step + 1) % self.config.save_every == 0 or step + 1 == total:
                self._save(progress, plain)

    def _step(self, objective: Any, optimizer: Any, index: int, step: int, lengths: tuple[int, int]) -> Report:
        per_epoch, total = lengths
        stage, began = self.stages[index], time.monotonic()
        factor = rate(step, total, self.config.warmup_steps, self.config.schedule)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        epoch, within = divmod(step, per_epoch)
        batch = self.source.batch(self._mine(epoch, within, index), epoch)
        optimizer.zero_grad(set_to_none=True)
        terms: Terms = objective(batch)
        loss = torch.stack(list(terms.values())).sum()
        self._require_finite(loss, stage.name, step)
        self.fabric.backward(loss)
        if self.config.clip_norm is not None:
            self.fabric.clip_gradients(objective, optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False)
        optimizer.step()
        return Report(
            stage=stage.name,
            stage_index=index,
            epoch=epoch,
            step=step + 1,
            steps=total,
            loss=float(loss.detach()),
            terms={name: float(value.detach()) for name, value in terms.items()},
            rate=factor,
            images_per_second=self._global_batch / max(time.monotonic() - began, 1e-9),
            memory_mb=memory_mb(self.fabric.device),
        )

    @property
    def _global_batch(self) -> int:
        return self.config.batch_size * int(self.fabric.world_size)

    def _mine(self, epoch: int, within: int, stage: int) -> tuple[int, ...]:
        seed = self.config.seed + 1000 * stage
        everyone = batch_indices(self.source.size, self._global_batch, epoch, within, seed)
        return everyone[self.fabric.global_rank :: self.fabric.world_size]

    def _optimizer(self, stage: Stage) -> Optimizer:
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in stage.objective.named_parameters():
            parameter.requires_grad_(name in stage.rates)
            parameter.grad = None
            if name in stage.rates:
                groups.setdefault(stage.rates[name], []).append(parameter)
        return AdamW(
            [{"params": members, "peak": peak, "lr": peak} for peak, members in groups.items()],
            betas=self.config.betas,
            weight_decay=self.config.weight_decay,
        )

    def _require_finite(self, loss: Tensor, stage: str, step: int) -> None:
        worst = self.fabric.all_reduce(loss.detach(), reduce_op="sum")
        if not math.isfinite(float(worst)):
            raise InterruptedTrainingError(
                f"stage {stage}, step {step + 1}: the loss is {float(worst)}",
                hint="the weights before it are kept; lower the learning rates or type --set precision=32-true",
            )

    def _validate(self, objective: nn.Module, done: int, total: int) -> float | None:
        every = self.config.validate_every
        if not every or (done % every and done != total):
            return None
        total_loss, images = 0.0, 0
        objective.eval()
        with torch.no_grad():
            for size, batch in self.source.validation(self.config.batch_size):
                total_loss += size * float(torch.stack(list(objective(batch).values())).sum())
                images += size
        objective.train()
        return total_loss / images if images else None

    def _keep_best(self, progress: Progress, value: float | None) -> Progress:
        if value is None or (progress.best is not None and progress.best <= value):
            return progress
        progress = progress.model_copy(update={"best": value})
        if self.fabric.is_global_zero:
            save_state(self._best(self.stages[progress.stage]), progress, self._parameters(), None)
        return progress

    def _log(self, report: Report) -> None:
        if self.fabric.is_global_zero:
            append_line(self.folder / LOG, report)
            self.listener(report)

    @contextmanager
    def _keeping(self, progress: Progress, optimizer: Optimizer) -> Iterator[None]:
        """Save what is done before a failure that came from the data or the loss, not from the step itself."""
        try:
            yield
        except ForgeError:
            self._save(progress, optimizer)
            raise

    def _parameters(self) -> dict[str, Tensor]:
        merged: dict[str, Tensor] = {}
        for stage in self.stages:
            merged |= trainable(stage.objective, frozenset(stage.rates))
        return merged

    def _save(self, progress: Progress, optimizer: Optimizer | None) -> None:
        if self.fabric.is_global_zero:
            save_state(self.last, progress, self._parameters(), optimizer)


def _present(parameters: dict[str, Tensor], objective: nn.Module) -> dict[str, Tensor]:
    own = {name for name, _ in objective.named_parameters()}
    return {name: value for name, value in parameters.items() if name in own}
