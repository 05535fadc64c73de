"""The endpoint under test: its target, the client that opens one stream at a time, and the ledger of the mock."""
