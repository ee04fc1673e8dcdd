"""Transactions, what a fabric would carry: a cache for each node, and a directory of who holds which line."""
