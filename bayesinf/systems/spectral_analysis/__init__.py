"""Spectral analysis by least squares, and the period of a source."""
