"""Every access to FAM, counted by the plugin that QEMU loads."""
