// Room of EventLoop.
