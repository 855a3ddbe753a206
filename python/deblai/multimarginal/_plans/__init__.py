"""Reading a plan of potentials without building it."""
