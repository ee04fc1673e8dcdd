"""The version of this package, which its build reads here."""

__all__ = ["__version__"]

__version__ = "0.1.0"
