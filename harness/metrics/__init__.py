"""Records become figures: definitions, distributions, objectives, and whether the client can be believed. Pure."""
