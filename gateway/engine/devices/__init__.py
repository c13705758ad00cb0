"""GPUs and cores: what is there, and which worker gets which."""
