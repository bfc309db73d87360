"""What is durable, in one SQLite file."""
