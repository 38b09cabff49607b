"""From a product's name to a checked description."""
