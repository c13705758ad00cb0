"""Where weights come from, and what a model's name means: hub, folder, archive, and the cache they share."""
