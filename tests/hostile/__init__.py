"""The corpus of hostile endpoints: one small file an attack. `python -m tests.hostile` measures every command."""
