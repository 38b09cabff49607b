"""What an address of the page says: version, steps, photo, order."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from descriptions.format.schema import DescriptionFile
from detector.serve.errors import ServeError
from detector.serve.page.draft import Draft, Step

SORTS = {"score": "highest score first", "change": "largest change first", "name": "by name"}


class View(NamedTuple):
    """An address, read."""

    mode: str
    category: str
    version: int
    steps: tuple[Step, ...]
    sort: str
    photo: str

    @classmethod
    def read(cls, mode: str, category: str, query: QueryParams, version: int) -> "View":
        """Read an address; `op`, `id` and `value` of a form are one step more.

        Args:
            mode: `review` or `judge`.
            category: product.
            query: of the address.
            version: where the address names none.

        Raises:
            ServeError: it cannot be read.
        """
        steps = [Step.read(text) for text in query.getlist("do")]
        if query.get("op"):
            steps.append(
                Step.read(f"{query['op']}~{query.get('id', '')}~{query.get('value', '')}".replace("add~~", "add~"))
            )
        sort = query.get("sort", "score")
        if sort not in SORTS:
            raise ServeError(f"sort {sort[:40]!r}", expected=" or ".join(SORTS))
        return cls(mode, category, version, tuple(steps), sort, query.get("photo", "")[:40])

    def url(self, **changes: object) -> str:
        """The address of this view with something changed."""
        other = self._replace(**changes)  # type: ignore[arg-type]
        pairs = [("v", str(other.version)), *(("do", str(step)) for step in other.steps)]
        pairs += [("sort", other.sort)] if other.sort != "score" else []
        pairs += [("photo", other.photo)] if other.photo else []
        return f"/{other.mode}/{quote(other.category)}?{urlencode(pairs)}"

    def step(self, kind: str, name: str = "", value: str = "") -> str:
        """The address with one step more; a step that takes back the last one leaves both out of the list."""
        return self.url(steps=collapsed((*self.steps, Step(kind, name, value))))

    @property
    def undo(self) -> str:
        """The address without the last step; empty where there is none."""
        return self.url(steps=self.steps[:-1]) if self.steps else ""

    def draft(self, base: DescriptionFile) -> Draft:
        """The steps made."""
        return Draft.made(base, self.steps)


_OPPOSITE = {"on": "off", "off": "on", "lock": "unlock", "unlock": "lock"}


def collapsed(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Steps, without a last pair that takes itself back, such as off and on again."""
    *before, last = steps
    if before and before[-1].id == last.id and before[-1].kind == _OPPOSITE.get(last.kind):
        return tuple(before[:-1])
    return tuple(steps)
