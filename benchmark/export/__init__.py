"""A finished run as a file that other programs load, checked and described."""
