"""Order, retries, schedule and command line: the room that knows all others."""
