"""Instance: one container of a registry, from the settings to the running one."""
