"""Live documents: rooms, cells and files. The only package that imports pycrdt."""
