"""What `detector serve` was asked for, and the detector that goes with it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from descriptions.store import Store
from detector.detect.detector import Detector
from detector.device import resolve_device
from detector.images.load import MAX_PIXELS, ReadOptions
from detector.localize.registry import build_localizer
from detector.scoring.predict import ScoringSettings
from detector.weights.registry import load_model

PORT = 8000
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""


class ModelSettings(BaseModel):
    """Which model scores, and how; the options that `detect` has too."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    descriptions_dir: Path | None = None
    """Library."""
    preset: str | None = None
    """Model by name."""
    checkpoint: Path | None = None
    """Model by file."""
    pretrained: str | None = None
    """CLIP weights where the model brings none."""
    scoring: ScoringSettings = ScoringSettings()
    """How to score."""
    dino_weights: Path | None = None
    """Grounding DINO checkpoint."""
    dino_text: str = "bert-base-uncased"
    """Its vocabulary."""
    tile: int | None = None
    """Window side in pixels."""
    bits: int | None = None
    """Of the values in 16-bit files."""
    max_pixels: int = MAX_PIXELS
    """Larger pictures are refused before they are decoded."""
    max_size: int = 4096
    """Long side pictures are shrunk to."""
    device: str = "auto"
    """Processor."""
    precision: str = "auto"
    """Number format."""
    batch_size: int | None = None
    """Pictures in one step at most; by device when None."""
    workers: int = 2
    """Threads that decode pictures."""

    @property
    def model(self) -> str:
        """The model, for people."""
        return str(self.checkpoint) if self.checkpoint else f"preset {self.preset or 'mini'}"

    def detector(self, store: Store) -> Detector:
        """Model, localizer and options, as asked for.

        Raises:
            ForgeError: what was asked for is not there, or does not go together.
        """
        model = load_model(self.preset, self.checkpoint, self.pretrained)
        localizer = build_localizer(
            self.scoring.localizer, model.config.variant, self.dino_weights, self.dino_text,
            device=str(resolve_device(self.device)),
        )  # fmt: skip
        return Detector(
            model, store=store, settings=self.scoring, localizer=localizer,
            reading=ReadOptions(self.bits, self.max_pixels), batch_size=self.batch_size, device=self.device,
            precision=self.precision, tile=self.tile, max_size=self.max_size, workers=self.workers,
        )  # fmt: skip


class ServeSettings(ModelSettings):
    """The command line of `detector serve` as one value."""

    host: str = "127.0.0.1"
    """Address to listen on; any but this machine's own asks for a token."""
    port: int = PORT
    """Port to listen on; 0 takes a free one."""
    token_file: Path | None = None
    """File with the token that clients send."""
    threshold: str | None = None
    """A number or `from-eval:RUN`; without one, pictures get no verdicts."""
    references: tuple[str, ...] = ()
    """Kept references: `.refs.safetensors` files, or folders of good photos; requests name them by their file names."""
    category: str | None = None
    """Product that the page opens with."""
    data: Path | None = None
    """Data set for the page."""
    photos: tuple[str, ...] = ()
    """Photos for the page: files, folders or globs."""
    max_photos: int = 128
    """Photos that the page shows at most."""
    runs: Path | None = None
    """Folder that runs of `detector eval` are looked for in."""
    marks: Path = Path("marks.jsonl")
    """File that marks of people are added to."""
    reviewer: str = ""
    """Name under which versions and marks are saved."""
    cache_dir: Path | None = None
    """Where features of the page's photos are kept; the user's cache folder by default."""
    max_upload: int = 512 * 2**20
    """Bytes of one request at most."""
    max_images: int = 64
    """Pictures of one request at most; also what the queue holds."""
    max_batch: int = 1000
    """Pictures of one job at most."""
    max_jobs: int = 8
    """Jobs that wait or run at most."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        return self.host in LOCAL
