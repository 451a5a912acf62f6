"""The parts of the studio's screen. They show what they are given, and tell what is done."""
