"""From settings to engines on worker processes: what the server and commands without one share."""
