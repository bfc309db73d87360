"""Jupyter notebooks run on the server: outputs live in the document, not in the browser."""
