"""Lloyd's algorithm, on samples and on densities."""
