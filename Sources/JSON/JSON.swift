// Room of JSON.
