"""The endpoint under test and how it is asked: a target, one stream at a time, and the mock's ledger behind it."""
