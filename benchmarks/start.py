"""How long one photo takes from the command line, with and without what the command line leaves out of open_clip.

    python -m benchmarks.start [--runs 5]

Both ways run in turn, as whole processes, on a drawn capsule; the medians and the ratio pair by pair are printed.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from detector.data.sample_set import write_sample_set

WHOLE = "from detector.cli.app import app; app()"
LIGHT = "from detector.cli.app import main; main()"


def run(program: str, arguments: list[str]) -> tuple[float, float]:
    """Seconds by the clock and of processor time of one run."""
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        photo = min((write_sample_set(Path(name), good=1, bad=1) / "test").rglob("*.png"))
        arguments = ["detect", str(photo), "--category", "capsule", "--out", f"{name}/out"]
        run(LIGHT, arguments)  # the disk's cache, and the folder
        pairs = [(run(WHOLE, arguments), run(LIGHT, arguments)) for _ in range(runs)]
    for index, what in enumerate(("wall", "processor")):
        whole, light = ([pair[side][index] for pair in pairs] for side in (0, 1))
        ratio = statistics.median(second / first for first, second in zip(whole, light, strict=True))
        medians = f"{statistics.median(whole):.2f} s whole, {statistics.median(light):.2f} s light"
        print(f"{what:9}  {medians}, ratio {ratio:.2f} (median of {runs} pairs)")


if __name__ == "__main__":
    main()
