"""When a stage runs: DVC's graph as Prefect tasks. The only code that knows Prefect."""
