"""Solvers of the unregularised problem: linear program, column generation, maps of the line."""
