"""A service that translates: which models there are, and what asks for them."""
