"""A small rendered world, in which everything that an image shows is known."""
