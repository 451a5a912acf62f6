"""The acrostic benchmark: a fixed list of heads, four ways to write for them, one judge."""
