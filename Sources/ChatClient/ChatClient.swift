// Room of ChatClient.
