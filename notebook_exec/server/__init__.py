"""The Jupyter Server extension: application, HTTP and websockets."""
