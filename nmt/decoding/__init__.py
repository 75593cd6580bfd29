"""Decoding: the search, and text in, text out."""
