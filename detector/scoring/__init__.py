"""Features and words become maps and scores."""
