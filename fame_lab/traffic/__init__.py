"""Who touches which part of FAM: counts by QEMU's trace plugin, or samples of what changes."""
