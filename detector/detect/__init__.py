"""Photos in; detections out."""
