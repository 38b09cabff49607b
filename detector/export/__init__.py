"""A detector as one file that runs without this package."""
