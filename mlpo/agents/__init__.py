"""The old name of `mlpo.inference`: leaders registered under it import these three modules. New code does not."""
