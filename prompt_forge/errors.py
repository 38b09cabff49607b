"""Errors of prompt_forge.

ForgeError
+-- PromptForgeError
"""

from descriptions.errors import ForgeError


class PromptForgeError(ForgeError):
    """Base of everything this package raises."""
