"""Pure logic: no asyncio, no I/O, no clock."""
