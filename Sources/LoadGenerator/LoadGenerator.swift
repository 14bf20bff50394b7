// Room of LoadGenerator.
