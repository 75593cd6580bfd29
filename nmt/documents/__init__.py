"""Documents in, documents out: what people read in them is translated, all else stays as it is.

A format is one file of this package and one row of `formats.py`. It takes a document apart into segments (`nmt/text`)
and writes it again with the translations of these; it translates nothing by itself, and knows no other format.
"""
