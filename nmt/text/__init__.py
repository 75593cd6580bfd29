"""Text as people have it: paragraphs, markup, placeholders, capitals and terms, around what a model translates."""
