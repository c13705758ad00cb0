"""Samples in, chunks of speech out. No asyncio, no HTTP, no clock: each class is fed and flushed."""
