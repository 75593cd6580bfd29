"""The network: embeddings, encoder, attention, decoder, and the model folder."""
