"""The one seam to language models: `complete(request) -> completion`, and small wrappers around that one method.

Read `types` first, then `open` (which wrapper sits around which), then whichever wrapper is of interest.
"""
