"""Measures the gateway against its own limit and against faster-whisper: ``python -m bench``."""
