"""Reads become events, events become deltas, and a finished stream becomes a record. Pure: no socket, no clock."""
