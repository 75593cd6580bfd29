"""From text files to subword vocabularies and ids on disk, once."""
