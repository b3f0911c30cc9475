"""Cardiac-segmentation benchmark: from raw files to a ranking with intervals."""

__version__ = "0.1.0"
