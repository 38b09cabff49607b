"""`detector watch`: photos of a line camera are scored as they appear."""
