// Room of ChatCore.
