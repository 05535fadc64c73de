"""The server's own figures beside the client's: running, waiting, queue time and cache use, on the client's clock."""
