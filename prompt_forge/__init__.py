"""A language model proposes which anomalies a product can have; people keep, edit and version the answer.

from prompt_forge import generate

print(generate("capsule", model="local").enabled_texts)
"""

from typing import TYPE_CHECKING

from descriptions.common.lazy import public

if TYPE_CHECKING:
    from prompt_forge.generation.call import generate

__all__ = ["generate"]

__getattr__, __dir__ = public(__name__, {"generate": "prompt_forge.generation.call"})
