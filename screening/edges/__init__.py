"""The outside: object stores, tables in them, the releases and Triton. Each library's errors become ours here."""
