"""Build the wheel, install it into an empty folder, and use it from another one: what travels is what was meant to.

Run as a script (`python tests/smoke_wheel.py`); `make check` does. Dependencies come from the running environment, the
project's own packages only from the wheel.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(command: list[str], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, show what it was, and return its stdout; a failure ends the smoke test with its output."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"smoke test: {' '.join(command)} left {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, use."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        site, elsewhere = work / "site", work / "elsewhere"
        elsewhere.mkdir()
        run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", name, str(ROOT)], cwd=elsewhere)
        (wheel,) = work.glob("*.whl")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run([*install, "--target", str(site), str(wheel)], cwd=elsewhere)
        # Only PYTHONPATH and PATH point at the wheel; the checkout's editable install comes after both.
        env = os.environ | {"PYTHONPATH": str(site), "HOME": str(work), "XDG_CACHE_HOME": str(work / "cache")}
        for package in ("descriptions", "detector", "prompt_forge"):
            where = f"import {package}; print({package}.__file__)"
            path = run([sys.executable, "-c", where], cwd=elsewhere, env=env).strip()
            if not Path(path).is_relative_to(site):
                sys.exit(f"smoke test: {package} comes from {path}, not from the wheel")
        for script, arguments in SCRIPTS:
            run([sys.executable, str(site / "bin" / script), *arguments], cwd=elsewhere, env=env)
        sys.stdout.write(f"smoke test: {wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB) works outside the checkout\n")


SCRIPTS: list[tuple[str, list[str]]] = [
    ("prompt-forge", ["--help"]),
    ("prompt-forge", ["templates", "list"]),
    ("prompt-forge", ["generate", "--category", "capsule", "--dry-run"]),
    ("prompt-forge", ["lint", "metal_nut"]),
    ("detector", ["--help"]),
    ("detector", ["data", "sample", "pictures"]),
    ("detector", ["detect", "pictures/capsule/test/cracked/000.png", "--category", "metal nut", "--out", "found"]),
]
"""What a newcomer types first; nothing here needs a download."""


if __name__ == "__main__":
    main()
