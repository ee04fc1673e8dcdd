"""What a node boots: the appliance, a Debian on a disk, and images of a user."""
