// Room of HTTPWire.
