"""Training and measuring networks: yields records, prints nothing, knows no terminal."""
