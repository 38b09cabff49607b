"""Pages that people look through, made from templates; nothing in them comes from elsewhere."""
