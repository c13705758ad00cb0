"""Chunks in, hypotheses out: one batcher for all connections, worker processes, two engines behind one protocol."""
