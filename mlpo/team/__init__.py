"""From params.yaml's team to prompts and proposals."""
