"""Evolution: strategies, the workers that live its lives, the training loop, runs and their checkpoints."""
