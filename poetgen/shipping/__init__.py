"""What a model ships as: a small folder, and a card that says what it is worth."""
