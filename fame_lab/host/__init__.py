"""What this host has, and libvirt: nothing else names it."""
