"""Results as files that another program picks up: one JSON per photo, in a folder per verdict."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from descriptions.common.files import atomic_write
from detector import console
from detector.serve.errors import ServeError

WITHOUT_VERDICT, FAILED = "scored", "failed"


class Folder:
    """`FOLDER/good`, `FOLDER/anomalous`, `FOLDER/scored` (without a threshold) and `FOLDER/failed`.

    A file appears whole, under its last name: whoever reads may take it away at once.

    Args:
        root: made when missing.

    Raises:
        ServeError: it cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.lost = root, 0
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ServeError(f"--deliver {root} ({reason})", expected="a folder that can be written to") from error

    def send(self, line: dict[str, Any]) -> None:
        """Write one result. A full disk, or a folder that went away, is counted: the watch goes on."""
        row = line.get("row")
        verdict = FAILED if row is None else row.get("verdict") or WITHOUT_VERDICT
        stamp = datetime.fromisoformat(line["time"]).strftime("%Y%m%dT%H%M%S%f")[:-3]
        path = self.root / verdict / f"{stamp}-{line['file'][1]}-{Path(line['path']).stem[:100]}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, json.dumps(line, indent=2) + "\n")
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Say how much was lost."""
        if self.lost:
            console.warn(f"{self.lost} results could not be written to {self.root}; they stand in the results file")
