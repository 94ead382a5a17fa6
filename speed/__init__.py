"""What the shared prompt saves, measured against the libraries' own ways: `python -m speed --help`."""
