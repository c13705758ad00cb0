"""Chunks in, hypotheses out: one batcher for all connections, and worker processes behind it."""
