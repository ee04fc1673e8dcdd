"""libvirt and its domains."""
