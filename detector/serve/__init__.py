"""The HTTP server: one model in memory that answers machines under `/v1` and people on a page."""
