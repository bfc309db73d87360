"""The nanny: a small process beside each kernel, which outlives the server.

Standard library, pyzmq and the smallest of ``core`` only. The server never imports this package.
"""
