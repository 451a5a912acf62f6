"""From poems to batches of ids. Knows texts and ids, no networks; needs no torch."""
