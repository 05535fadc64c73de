"""The socket end: how bytes get their arrival times. The only package of the harness that opens connections."""
