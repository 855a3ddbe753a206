"""The same functions in plain NumPy: readable, slow, without compiled code. The oracle of every test."""
