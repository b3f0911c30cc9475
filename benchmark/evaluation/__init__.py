"""Scores of a segmentation against the truth, at the geometry of the scan."""
