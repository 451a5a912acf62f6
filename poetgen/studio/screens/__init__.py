"""The studio's main screen, and what opens over it."""
