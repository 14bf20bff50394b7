// Room of AdminAPI.
