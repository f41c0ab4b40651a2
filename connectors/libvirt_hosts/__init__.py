"""libvirt hosts: what runs where, live migration that ends in a known state, sizes and power states of guests."""
