"""Diagnosis: which hop holds tokens back, and which upstream goes on generating after its client left."""
