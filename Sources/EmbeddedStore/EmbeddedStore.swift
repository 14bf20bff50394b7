// Room of EmbeddedStore.
