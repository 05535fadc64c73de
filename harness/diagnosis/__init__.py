"""Who holds tokens back and who keeps generating after the reader left: delivery, products, lockstep, cancellation."""
