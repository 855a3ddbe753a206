"""Semi-discrete transport: a density of the plane to weighted points."""
