"""Trains the miniature Whisper of the tests from nothing but synthesised speech. Start with the README."""
