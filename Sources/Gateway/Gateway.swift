// Room of Gateway.
