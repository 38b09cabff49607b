"""Where an anomaly may be: localizers turn an image and words into boxes, and boxes into one of nine regions."""
