"""What a poem is and what its rules are. Knows nothing of files, models or screens."""
