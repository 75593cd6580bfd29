"""What lies on disk of a model: weights, settings, digests, scores and the card."""
