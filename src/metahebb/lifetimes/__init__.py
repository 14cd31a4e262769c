"""Lives: a network in a world, from random weights to the end."""
