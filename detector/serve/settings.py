"""What `detector serve` was asked for, and the detector that goes with it."""

from pathlib import Path

from descriptions.store import Store
from detector import defaults
from detector.detect.detector import Detector
from detector.runs.components import ScoringRequest, load_chosen_model, predictor_options
from detector.scoring.predict import ScoringSettings

PORT = 8000
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""


class ModelSettings(ScoringRequest):
    """Which model scores, and how; the options that `detect` has too."""

    scoring: ScoringSettings = ScoringSettings()
    """How to score."""
    batch_size: int | None = None
    """Pictures in one step at most; by device when None."""
    workers: int = defaults.WORKERS
    """Threads that decode pictures."""

    @property
    def model(self) -> str:
        """The model, for people."""
        return str(self.checkpoint) if self.checkpoint else f"preset {self.preset or 'mini'}"

    def create_detector(self, store: Store) -> Detector:
        """Model, localizer and options, as asked for.

        Raises:
            ForgeError: what was asked for is not there, or does not go together.
        """
        model = load_chosen_model(self)
        options = predictor_options(self, self.scoring, model)
        options["batch_size"] = self.batch_size
        return Detector(model, store=store, workers=self.workers, **options)


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
    watched: tuple[Path, ...] = ()
    """Folders of watches that the API and the page show, pause and resume."""
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
