"""Routes for machines."""
