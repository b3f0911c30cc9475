"""What follows a finished run from its weights: tests on other files, and corrupted images.

Nothing here trains, and nothing here is part of a run's key. Each evaluation has a folder and a
record of its own inside the folder of its run.
"""
