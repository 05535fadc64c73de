"""What becomes of a load when something goes wrong under it: the faults, how they are made, and what is measured."""
