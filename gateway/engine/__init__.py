"""Chunks in, hypotheses out: one batcher for all connections, on worker processes."""
