"""The command line `fame-lab`: one module a command."""
