"""The mock provider: a streaming LLM server whose every byte, pause and failure is known.

It imports nothing from the harness, so that a mistake in one half of a measurement cannot cancel out in the other.
"""
