// Room of DialectKit.
