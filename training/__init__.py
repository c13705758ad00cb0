"""How the models that the tests use were made. Not part of the package, and not needed to run the tests."""
