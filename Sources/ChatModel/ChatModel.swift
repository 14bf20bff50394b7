// Room of ChatModel.
