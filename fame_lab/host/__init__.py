"""The host and libvirt; no other layer names libvirt."""
