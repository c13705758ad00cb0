"""Replicas on a Ray cluster: actors that any number of gateways share, and who keeps them."""
