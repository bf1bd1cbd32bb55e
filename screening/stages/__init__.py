"""Pure functions on values and tables. Nothing here opens a store, a server, the environment or the clock."""
