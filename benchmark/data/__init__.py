"""From cases on disk to batches of arrays: preprocessing, cache, augmentation, pipeline."""
