"""Who plays, how it is played, graded and written."""
