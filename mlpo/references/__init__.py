"""References: documents that one agent alone can look up."""

import logging

import bm25s

logging.getLogger(bm25s.__name__).setLevel(logging.WARNING)  # its import sets DEBUG, and it tells of every index
