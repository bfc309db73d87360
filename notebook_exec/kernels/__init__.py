"""The server's side of a kernel: how it is reached, watched and restarted."""
