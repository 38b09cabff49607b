"""What both tools share: errors, files, settings, terminal and names."""
