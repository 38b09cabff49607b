"""The part of a release that a machine can check: `make release`. Nothing is published.

Builds the sdist and the wheel into dist/, checks their metadata as the index would show it, installs the wheel with its
dependencies into a fresh environment, and runs what a newcomer types first there.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
FIRST_COMMANDS = (
    ("prompt-forge", "--version"),
    ("prompt-forge", "list"),
    ("prompt-forge", "lint", "metal_nut"),
    ("detector", "data", "sample", "pictures"),
    ("detector", "detect", "pictures/capsule/test/cracked", "--category", "capsule", "--out", "found"),
    ("detector", "doctor"),
)


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command, show it, and stop the release where it fails."""
    print("$", *command, flush=True)
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nrelease stopped: the last command left {done.returncode}")
    return done.stdout


def version() -> str:
    """Of pyproject.toml, which the changelog and the citation must name too."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def complaints(number: str) -> list[str]:
    """Facts about the release that do not agree with each other."""
    wrong = []
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True).stdout:
        wrong.append("the working tree has uncommitted changes")
    if not re.search(rf"^## {re.escape(number)} - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M):
        wrong.append(f"CHANGELOG.md has no section '## {number} - DATE'")
    if f"version: {number}" not in (ROOT / "CITATION.cff").read_text():
        wrong.append(f"CITATION.cff does not name version {number}")
    return wrong


def main() -> None:
    """Build, check, install, use; then say what is left for a person."""
    number = version()
    for old in DIST.glob("filo_forge-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir()))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run(sys.executable, "-m", "venv", work / "venv")
        programs = work / "venv" / "bin"
        (wheel,) = DIST.glob(f"filo_forge-{number}-*.whl")
        run(programs / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
        for script, *arguments in FIRST_COMMANDS:
            run(programs / script, *arguments, cwd=work)
    for line in complaints(number):
        print("still to do:", line)
    print(f"filo-forge {number}: both files in {DIST.name}/ build, read well and work in a fresh environment")


if __name__ == "__main__":
    main()
