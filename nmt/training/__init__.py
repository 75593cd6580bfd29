"""Training: loss, optimiser, schedule, checkpoints, and the loop around them."""
