// Room of Telemetry.
