"""Training of one model on one device."""
