"""Lattices: their bases, nearest points and second moments."""
