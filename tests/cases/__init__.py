"""Small servers that behave as real gateways and model servers did in public bug reports, each with its truth.

`server.py` is a well-behaved server of OpenAI's API; `programs.py` has one class for each report, which changes what is
streamed. tests/e2e/test_cases.py holds what each command says about them. None of this is the mock provider: a mistake
in the mock cannot hide here.
"""
