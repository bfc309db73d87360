"""The nanny: a small process beside each kernel, which outlives the server.

Standard library, pyzmq and ``core.wire`` only. The server never imports this package.
"""
