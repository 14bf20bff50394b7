// Room of Identity.
