"""The page where words meet pictures."""
