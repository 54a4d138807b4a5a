"""From raw files to batches of token ids: readers, encoders, the cache, sampling, augmentation."""
