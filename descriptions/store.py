"""The library: a folder of `<category>/v<N>.yaml` and `<category>/labels.yaml`."""

import os
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from descriptions.common.errors import (
    InvalidFileError,
    ReadOnlyLibraryError,
    UnknownCategoryError,
    UnknownVersionError,
    UnsafePathError,
    nearest,
)
from descriptions.common.files import atomic_write
from descriptions.common.refs import DEFAULT, LATEST, NAME, Ref, check_label, parse_ref
from descriptions.common.settings import LibrarySettings, load
from descriptions.format.schema import DescriptionFile
from descriptions.format.yaml_io import dump_description, dump_mapping, parse_description, parse_yaml, read_bytes

try:
    import fcntl
except ImportError:  # Windows: labels are then guarded by the atomic write alone
    fcntl = None  # type: ignore[assignment]

PACKAGED = Path(__file__).resolve().parent
"""The library that travels with the package."""

_VERSION_FILE = re.compile(r"v([1-9][0-9]{0,8})\.yaml")
_LABELS = "labels.yaml"
_FEW = 12
"""Categories up to which an unknown one is answered with all their names."""


class Store:
    """Reads and writes one library.

    Versions never change once saved. Many processes may save at once: each gets a number of its own.
    """

    def __init__(self, root: Path, *, read_only: bool = False, fallback: "Store | None" = None) -> None:
        self.root = root
        self.read_only = read_only
        self.fallback = fallback
        """Where categories are looked up that this library does not hold; None for nowhere."""

    @classmethod
    def open(cls, explicit: Path | None = None, *, writable: bool = False) -> "Store":
        """The library a command works on.

        Args:
            explicit: `--descriptions-dir`, which always wins and stands alone: nothing outside that folder is read.
            writable: the command is going to save. The library has no fallback then, and `./descriptions` is used even
                while it is empty.

        Returns:
            `explicit`, else the folder of the settings, else `./descriptions` where it holds YAML, else the packaged
            library (read-only). A category that the second or third lacks is read from the packaged library.

        Raises:
            UnsafePathError: the path is a file.
            ReadOnlyLibraryError: `writable`, and `./descriptions` is the packaged library, as in a clone.
            SettingsError: settings that make no sense.
        """
        folder = explicit or load(LibrarySettings, "library").descriptions_dir
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UnsafePathError(f"{folder} is a file", expected="a folder", hint="pass --descriptions-dir FOLDER")
        if explicit is not None or (folder is not None and (writable or folder.resolve() == PACKAGED)):
            return cls(explicit or folder or PACKAGED)
        local, packaged = folder or Path("descriptions"), cls(PACKAGED, read_only=True)
        if folder is None and _is_package(local):
            if writable:
                raise ReadOnlyLibraryError(
                    f"./{local} is the library of the package itself",
                    expected="a folder of your own",
                    hint="type mkdir ../work && cd ../work, or, to change the package, --descriptions-dir descriptions",
                )
            return packaged
        if writable:
            return cls(local)
        return cls(local, fallback=packaged) if folder or any(local.glob("*/v*.yaml")) else packaged

    def home(self, category: str) -> "Store":
        """The library that a category is read from: this one where it holds the category, else the fallback."""
        if self.fallback is not None and not self._own_versions(category) and self.fallback.versions(category):
            return self.fallback
        return self

    def categories(self) -> list[str]:
        """Names of all categories that hold at least one version, sorted, without those of the fallback.

        Links out of the library are left out.
        """
        if not self.root.is_dir():
            return []
        named = [entry for entry in self.root.iterdir() if NAME.fullmatch(entry.name)]
        folders = [entry.name for entry in named if entry.is_dir() and not self._leads_out(entry)]
        return sorted(name for name in folders if self._own_versions(name))

    def readable(self) -> list[str]:
        """Names of all categories that can be read, those of the fallback included, sorted."""
        further = self.fallback.categories() if self.fallback else []
        return sorted({*self.categories(), *further})

    def versions(self, category: str) -> list[int]:
        """Version numbers of a category, ascending; empty when there is none.

        Raises:
            UnsafePathError: the category's folder is a link out of the library.
        """
        home = self.home(category)
        return self._own_versions(category) if home is self else home.versions(category)

    def _own_versions(self, category: str) -> list[int]:
        folder = self._inside(category)
        if not folder.is_dir():
            return []
        matches = (_VERSION_FILE.fullmatch(entry.name) for entry in folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, category: str, version: int) -> Path:
        """Where a version lies or would lie."""
        return self.home(category)._own_path(category, version)

    def _own_path(self, category: str, version: int) -> Path:
        return self._inside(category, f"v{version}.yaml")

    def resolve(self, ref: Ref | str) -> Ref:
        """The reference with its label turned into a number; a bare name is `@default`, which is the latest unless set.

        Raises:
            BadReferenceError, UnknownCategoryError, UnknownVersionError: with the nearest match.
        """
        category, version = parse_ref(ref) if isinstance(ref, str) else ref
        known = self.versions(category)
        if not known:
            self._unknown_category(category)
        if version == LATEST:
            return Ref(category, known[-1])
        if isinstance(version, str):
            labels = {DEFAULT: known[-1]} | self.labels(category)
            if version not in labels:
                raise UnknownVersionError(
                    f"{category} has no label {version!r}",
                    expected=f"one of: {', '.join(labels)}",
                    hint=nearest(version, list(labels)) or f"set it with: prompt-forge label {category}@N {version}",
                )
            version = labels[version]
        if version not in known:
            listed = ", ".join(str(number) for number in known)
            raise UnknownVersionError(f"{category} has no version {version}", expected=f"one of: {listed}")
        return Ref(category, version)

    def load(self, ref: Ref | str) -> DescriptionFile:
        """Read one version.

        Raises:
            DescriptionError: unknown, unsafe or invalid; the message names file, line and field.
        """
        category, version = self.resolve(ref)
        if (home := self.home(category)) is not self:
            return home.load(Ref(category, version))
        path = self._inside(category, f"v{version}.yaml")
        description = parse_description(read_bytes(path), str(path))
        for field, inside, outside in (
            ("version", description.version, version),
            ("category", description.category, category),
        ):
            if inside != outside:
                raise InvalidFileError(f"{path}: {field}: {inside}", expected=f"{outside}, as the path says")
        return description

    def save(self, description: DescriptionFile) -> DescriptionFile:
        """Write a new version under the next free number and return it as saved.

        Raises:
            ReadOnlyLibraryError: the library cannot be written to.
            UnsafePathError: the category's folder is a link out of the library.
        """
        self._writable()
        with self._friendly():
            self._inside(description.category).mkdir(parents=True, exist_ok=True)
        version = max(self._own_versions(description.category), default=0)
        while True:
            version += 1
            numbered = description.revised(version=version)
            path, text = self._own_path(description.category, version), dump_description(numbered)
            with self._friendly(), suppress(FileExistsError):  # another writer was faster
                atomic_write(path, text, exclusive=True)
                return numbered

    def labels(self, category: str) -> dict[str, int]:
        """Labels of a category and the versions they point at, `latest` first.

        Raises:
            InvalidFileError: a hand-broken labels file.
        """
        if (home := self.home(category)) is not self:
            return home.labels(category)
        versions = self.versions(category)
        latest = {LATEST: versions[-1]} if versions else {}
        path, content = self._inside(category, _LABELS), self._stored_labels(category)
        for label, version in content.items():
            if label == LATEST or not isinstance(label, str) or not NAME.fullmatch(label):
                raise InvalidFileError(f"{path}: label {label!r}", expected="a lower-case name other than latest")
            if isinstance(version, bool) or version not in versions:
                raise InvalidFileError(f"{path}: {label}: {version!r}", expected=f"one of the versions {versions}")
        return latest | {str(label): int(version) for label, version in content.items()}

    def set_label(self, ref: Ref | str, label: str) -> Ref:
        """Point a label at a version, and return the version.

        Raises:
            BadReferenceError: the label is no name, or `latest`, which moves by itself.
        """
        self._writable()
        check_label(label)
        target = self.resolve(ref)
        if self.home(target.category) is not self:
            raise ReadOnlyLibraryError(
                f"{target.category} is a product of the package, which is read-only",
                hint=f"type prompt-forge copy {target.category}",
            )
        with self._friendly(), self._locked(target.category):
            self.labels(target.category)  # a broken file is refused, not added to
            stored = self._stored_labels(target.category)
            stored[label] = int(target.version)
            atomic_write(self._inside(target.category, _LABELS), dump_mapping(stored))
        return target

    def _stored_labels(self, category: str) -> MutableMapping[Any, Any]:
        """The labels file as it stands, comments and all; empty when there is none."""
        path = self._inside(category, _LABELS)
        empty = not path.is_file() or not path.stat().st_size
        return {} if empty else parse_yaml(read_bytes(path), str(path))

    @contextmanager
    def _locked(self, category: str) -> Iterator[None]:
        """Two processes that move labels of one category take turns."""
        handle = os.open(self._inside(category), os.O_RDONLY)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _friendly(self) -> Iterator[None]:
        """What the file system refuses becomes one line."""
        try:
            yield
        except OSError as error:
            raise ReadOnlyLibraryError(f"{self.root} cannot be written to ({error.strerror})") from error

    def _writable(self) -> None:
        if self.read_only:
            raise ReadOnlyLibraryError(
                f"{self.root} is the packaged library, which is read-only", hint="pass --descriptions-dir DIR"
            )

    def _inside(self, category: str, name: str = "") -> Path:
        """A path of the library, refused when a link leads out of it."""
        if not NAME.fullmatch(category):
            parse_ref(category)
        path = self.root / category / name if name else self.root / category
        if self._leads_out(path):
            raise UnsafePathError(f"{path} is a link to {path.resolve()}", expected="a file inside the library")
        return path

    def _leads_out(self, path: Path) -> bool:
        """Whether a path of the library is a link that leaves it; one that cannot be followed does not."""
        with suppress(OSError):
            return not path.resolve().is_relative_to(self.root.resolve())
        return False

    def _unknown_category(self, category: str) -> None:
        known = self.readable()
        making = f"prompt-forge generate --category {category}"
        packaged = [] if self.root == PACKAGED or self.fallback else Store(PACKAGED).categories()
        if category in packaged and category not in known:
            here = "" if self.root == Path("descriptions") else f" --descriptions-dir {self.root}"
            hint = f"the package has one: type prompt-forge copy {category}{here}, or make your own with: {making}"
        else:
            further = nearest(category, packaged)
            hint = nearest(category, known) or (further and f"{further.removesuffix('?')} of the package?")
        listed = f"one of: {', '.join(known)}" if known else "one of: none yet"
        if len(known) > _FEW:
            listed = "" if hint else f"one of the {len(known)} that prompt-forge list shows"
        hint = hint or f"make it with: {making}"
        raise UnknownCategoryError(f"no category {category!r} in {self.root}", expected=listed, hint=hint)


def _is_package(folder: Path) -> bool:
    """Whether a folder is the package's own library: the installed one, or that of a clone."""
    return folder.resolve() == PACKAGED or ((folder / "__init__.py").is_file() and (folder / "store.py").is_file())
