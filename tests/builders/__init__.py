"""What tests are built from: captures, servers and parsers that several test modules share."""
