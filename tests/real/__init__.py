"""Frameworks and gateways as people use them, installed for real, in front of the mock provider: `make real`."""
