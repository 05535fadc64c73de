"""What a streamed token costs each client, and how far its figures are from the truth: `make bench`.

`scenarios` declares the loads and `programs` the clients. `measuring` runs one client in one scenario beside the mock,
`truth` compares what the client saw with the mock's ledger, and `page` shows the figures.
"""
