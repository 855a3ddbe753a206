"""Quantizers of measures of the line."""
