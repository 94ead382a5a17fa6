"""Who answers requests: models in this process, scripts, kept completions, and the runner that advances strategies."""
