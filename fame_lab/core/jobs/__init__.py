"""Long work: its progress, its display, its cancellation, and threads that share it."""
