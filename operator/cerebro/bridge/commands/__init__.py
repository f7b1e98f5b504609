"""What routers are asked for by callers of the bridge, through DeviceCommands."""
