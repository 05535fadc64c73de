"""Records become figures: metrics, distributions, objectives, and whether the client distorted them. Pure, no IO."""
