"""One command each: requested, run, recorded."""
