// Room of TLS.
