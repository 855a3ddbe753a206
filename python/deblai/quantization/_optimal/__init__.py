"""Optimal quantizers of densities of the plane and of space: energies of sites, descents, second derivatives."""
