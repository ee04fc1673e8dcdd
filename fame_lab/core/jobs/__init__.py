"""Long work: how far it is, how it is shown, called off and shared between threads."""
