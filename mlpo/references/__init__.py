"""References: documents that one agent alone can look up."""
