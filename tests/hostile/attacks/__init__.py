"""One attack a file; its docstring says what the endpoint does."""
