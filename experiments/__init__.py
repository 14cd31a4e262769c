"""Long measurements, each a command that can be stopped at any moment and goes on when it is given again."""
