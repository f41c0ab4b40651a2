"""BACnet/IP: discovery, reading, change of value, commands in one slot that can always be given back."""
