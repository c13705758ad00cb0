"""Engines behind somebody else's OpenAI-compatible endpoint: one HTTP request for each row."""
