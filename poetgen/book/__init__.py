"""The poem book: poems that were kept, and the ways to give them to others."""
