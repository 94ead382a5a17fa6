"""The method itself, pure: values in, values out. No files, clock, environment, logging or global seed."""
