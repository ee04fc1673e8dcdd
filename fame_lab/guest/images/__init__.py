"""Images: the appliance, a Debian on a disk, and a user's own."""
