"""Puts scheduler, kernels, documents and store together."""
