"""libvirt and its domains: nothing outside `host` names it."""
