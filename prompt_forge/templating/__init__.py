"""Templates: where they are, what they may do."""
