// Room of ConversationsDialect.
