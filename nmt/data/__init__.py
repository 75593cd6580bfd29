"""Text to batches: corpora, subwords, prepared ids, batching."""
