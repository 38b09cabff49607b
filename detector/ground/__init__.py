"""Says where in a photo a phrase applies, and describes in words what a map shows."""
