"""Translating what takes hours: many files, many processes, and nothing lost or done twice whatever stops it."""
