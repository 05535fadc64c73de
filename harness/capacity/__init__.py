"""How much load an endpoint holds while it meets its objectives: the search, what a point says, and the answer."""
